"""Base classes for interceptors that wrap methods of all four kinds in the same way.

gRPC has four kinds of methods, and runs the interceptors again for each call. Here a method of
any kind is one coroutine function, and is wrapped only once.
"""

from abc import abstractmethod
from collections.abc import Awaitable, Callable
from typing import Any, Final

import grpc
import grpc.aio

from inventory_grpc.presentation.grpc_types import Behaviour, Handler, MaybeHandler

MAKERS: Final[dict[tuple[bool, bool], Callable[..., Handler]]] = {
    (False, False): grpc.unary_unary_rpc_method_handler,
    (False, True): grpc.unary_stream_rpc_method_handler,
    (True, False): grpc.stream_unary_rpc_method_handler,
    (True, True): grpc.stream_stream_rpc_method_handler,
}
"""The handler constructors, by whether requests and responses are streams."""


class Wrapping(grpc.aio.ServerInterceptor):
    """An interceptor that replaces each handler by another one.

    It does so once for each method, at the first call; inner interceptors do not run again.
    """

    def __init__(self) -> None:
        self._wrapped: dict[str, Handler] = {}

    @abstractmethod
    def wrap(self, method: str, handler: Handler) -> Handler:
        """Return the handler to use in place of *handler*."""

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[MaybeHandler]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> MaybeHandler:
        method = handler_call_details.method
        wrapped = self._wrapped.get(method)
        if wrapped is None:
            handler = await continuation(handler_call_details)
            if handler is None:
                return None  # not cached: callers may send any number of unknown names
            wrapped = self._wrapped[method] = self.wrap(method, handler)
        return wrapped


class Around(Wrapping):
    """An interceptor that runs code around each call."""

    @abstractmethod
    def around(self, method: str, inner: Behaviour, *, streams: bool) -> Behaviour:
        """Return the replacement of *inner*; *streams* is true if its responses are a stream."""

    def wrap(self, method: str, handler: Handler) -> Handler:
        inner = behaviour_of(handler)
        around = self.around(method, inner, streams=handler.response_streaming)
        return handler if around is inner else remade(handler, around)


class Nested(Wrapping):
    """Several interceptors as one, outermost first, because gRPC runs each one at every call."""

    def __init__(self, *wrappings: Wrapping) -> None:
        super().__init__()
        self.wrappings = wrappings

    def wrap(self, method: str, handler: Handler) -> Handler:
        for wrapping in reversed(self.wrappings):
            handler = wrapping.wrap(method, handler)
        return handler


def behaviour_of(handler: Handler) -> Behaviour:
    call: Any = (
        handler.unary_unary or handler.unary_stream or handler.stream_unary or handler.stream_stream
    )
    behaviour: Behaviour = call
    return behaviour


def remade(handler: Handler, behaviour: Behaviour, *, decodes: bool = True) -> Handler:
    """Return a copy of *handler* with another method, which may take undecoded bytes."""
    return MAKERS[handler.request_streaming, handler.response_streaming](
        behaviour,
        request_deserializer=handler.request_deserializer if decodes else None,
        response_serializer=handler.response_serializer,
    )
