"""Decodes requests, once every other interceptor has let the call pass."""

from typing import Any, Final

from inventory_grpc.domain.refusals import InvalidValue, Violation
from inventory_grpc.presentation.call import Call
from inventory_grpc.presentation.grpc_types import Handler
from inventory_grpc.presentation.interceptors.around import Wrapping, behaviour_of, remade

_MAX_ID: Final = 128


class Decode(Wrapping):
    """Decodes requests; gRPC would decode before any interceptor had its turn.

    Bytes that are no request are an invalid value. gRPC would answer `UNKNOWN`, and send
    the text of the exception.
    """

    def wrap(self, method: str, handler: Handler) -> Handler:  # noqa: ARG002  they are all alike
        decode: Any = handler.request_deserializer
        if handler.request_streaming or decode is None:
            return handler
        inner = behaviour_of(handler)

        async def decoded(message: bytes, call: Call) -> object:
            try:
                request = decode(message)
            except Exception:  # noqa: BLE001  its text is not for callers
                raise undecodable() from None
            _note_id(call, getattr(request, "request_id", ""))
            return await inner(request, call)

        return remade(handler, decoded, decodes=False)


def undecodable() -> InvalidValue:
    """Return the refusal of bytes that are no request."""
    return InvalidValue([Violation("request", "cannot be decoded")])


def _note_id(call: Call, request_id: str) -> None:
    """Put the request id into the log line, safely."""
    if request_id:
        plain = request_id.isascii() and request_id.isprintable()
        call.note(request_id=(request_id if plain else ascii(request_id))[:_MAX_ID])
