"""Interceptors that wrap a method of any kind in the same way.

gRPC has four kinds of methods, and asks the interceptors anew for each call. Here a
method of any kind is one coroutine function, and it is wrapped once.
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
"""Makers of handlers, by whether its requests and its responses are streams."""


class Wrapping(grpc.aio.ServerInterceptor):
    """An interceptor of one server that puts another handler in the place of each.

    It is made once a method, at its first call; interceptors below are not asked again.
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
                return None  # and not remembered: a caller may ask for any name
            wrapped = self._wrapped[method] = self.wrap(method, handler)
        return wrapped


class Around(Wrapping):
    """An interceptor that does something around each call."""

    @abstractmethod
    def around(self, method: str, inner: Behaviour, *, streams: bool) -> Behaviour:
        """Return what to do in place of *inner*; *streams* if it may go on for ever."""

    def wrap(self, method: str, handler: Handler) -> Handler:
        inner = behaviour_of(handler)
        around = self.around(method, inner, streams=handler.response_streaming)
        return handler if around is inner else remade(handler, around)


class Nested(Wrapping):
    """Several of them as one, outermost first: gRPC asks each interceptor at every call."""

    def __init__(self, *wrappings: Wrapping) -> None:
        super().__init__()
        self.wrappings = wrappings

    def wrap(self, method: str, handler: Handler) -> Handler:
        for wrapping in reversed(self.wrappings):
            handler = wrapping.wrap(method, handler)
        return handler


def behaviour_of(handler: Handler) -> Behaviour:
    """Return what *handler* does."""
    call: Any = (
        handler.unary_unary or handler.unary_stream or handler.stream_unary or handler.stream_stream
    )
    behaviour: Behaviour = call
    return behaviour


def remade(handler: Handler, behaviour: Behaviour, *, decodes: bool = True) -> Handler:
    """Return a handler like *handler* that does something else, perhaps with undecoded bytes."""
    return MAKERS[handler.request_streaming, handler.response_streaming](
        behaviour,
        request_deserializer=handler.request_deserializer if decodes else None,
        response_serializer=handler.response_serializer,
    )
