"""One line a call: what was asked, how it ended, how long it took."""

import asyncio
import time
from contextlib import suppress
from typing import Final, cast

import structlog
from grpc import StatusCode

from inventory_grpc.presentation.call_notes import NOTES
from inventory_grpc.presentation.grpc_types import Behaviour, Context
from inventory_grpc.presentation.interceptors.around import Around

_log = structlog.get_logger("inventory_grpc.calls")

_OURS: Final = frozenset({StatusCode.INTERNAL, StatusCode.DATA_LOSS, StatusCode.UNKNOWN})
"""Codes that say that something is wrong here, and not with the call."""

_MAX_ID: Final = 128


class LogCalls(Around):
    """Writes the line when the call is over. What was sent is never in it."""

    def around(self, method: str, call: Behaviour, *, streams: bool) -> Behaviour:  # noqa: ARG002
        async def logged(request: object, context: Context) -> object:
            NOTES.set({})
            started = time.perf_counter()
            try:
                response = await call(request, context)
            except asyncio.CancelledError:
                _write(method, StatusCode.CANCELLED, started, request, context)
                raise
            except BaseException:
                _write(method, _code(context) or StatusCode.UNKNOWN, started, request, context)
                raise
            _write(method, _code(context) or StatusCode.OK, started, request, context)
            return response

        return logged


def _code(context: Context) -> StatusCode | None:
    return cast("StatusCode | None", context.code())


def _write(
    method: str, code: StatusCode, started: float, request: object, context: Context
) -> None:
    request_id = getattr(request, "request_id", "")
    if not request_id.isascii() or not request_id.isprintable():
        request_id = ascii(request_id)
    write = _log.error if code in _OURS else _log.info
    with suppress(OSError):  # what was done stays done, also if nobody can read of it
        write(
            "call",
            method=method,
            code=code.name,
            duration_ms=round((time.perf_counter() - started) * 1_000, 3),
            peer=context.peer(),
            request_id=request_id[:_MAX_ID],
            **NOTES.get(),
        )
