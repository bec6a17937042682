"""Decodes requests after every other interceptor has accepted the call."""

from typing import Any, Final

from inventory_grpc.domain.refusals import InvalidValue, Violation
from inventory_grpc.presentation.call import Call
from inventory_grpc.presentation.grpc_types import Handler
from inventory_grpc.presentation.interceptors.around import Wrapping, behaviour_of, remade

_MAX_ID: Final = 128


class Decode(Wrapping):
    """Decodes requests; gRPC would decode before the interceptors run.

    Malformed bytes are refused as an invalid value. gRPC would answer `UNKNOWN`, with the text
    of the exception.
    """

    def wrap(self, method: str, handler: Handler) -> Handler:  # noqa: ARG002  all methods alike
        decode: Any = handler.request_deserializer
        if handler.request_streaming or decode is None:
            return handler
        inner = behaviour_of(handler)

        async def decoded(message: bytes, call: Call) -> object:
            try:
                request = decode(message)
            except Exception:  # noqa: BLE001  callers must not see its text
                raise undecodable() from None
            _note_id(call, getattr(request, "request_id", ""))
            return await inner(request, call)

        return remade(handler, decoded, decodes=False)


def undecodable() -> InvalidValue:
    """Return the refusal of bytes that cannot be decoded as a request."""
    return InvalidValue([Violation("request", "cannot be decoded")])


def _note_id(call: Call, request_id: str) -> None:
    """Put the request id, escaped and cut, into the log line."""
    if request_id:
        plain = request_id.isascii() and request_id.isprintable()
        call.note(request_id=(request_id if plain else ascii(request_id))[:_MAX_ID])
