"""Translates exceptions to statuses; no interceptor outside it handles them.

A refusal has its own status; any other error is `Internal`, with an id that is also in the log.
By default gRPC would send the text of an unexpected exception, and would not answer at all if
a handler raises `CancelledError` itself (grpc/grpc#29248).
"""

import asyncio
import logging
from contextlib import suppress
from typing import Any, Final, Protocol

import grpc.aio
from google.protobuf.message import DecodeError
from grpc import StatusCode

from inventory_grpc.application.failures import Overloaded, ShuttingDown, bug
from inventory_grpc.application.ledger.circuit_breaker import refusal_of_read
from inventory_grpc.application.ports import StorageError
from inventory_grpc.domain.refusals import Refusal
from inventory_grpc.presentation.call import Call
from inventory_grpc.presentation.errors import TOO_LATE, refuse
from inventory_grpc.presentation.grpc_types import Behaviour
from inventory_grpc.presentation.interceptors.around import Around
from inventory_grpc.presentation.interceptors.decoding import undecodable
from inventory_grpc.presentation.stalled_readers import ReaderStalled

_log = logging.getLogger(__name__)

READ_RETRY_SECONDS: Final = 0.5
"""The retry delay after storage has failed a read."""

GOODBYE_SECONDS: Final = 1.0
"""The time to send the status to a reader that has stalled."""


class Cancelled(Protocol):
    """Knows which calls the server itself has cancelled; see `draining`."""

    def was_cancelled_by_us(self, task: asyncio.Task[Any]) -> bool: ...


class TranslateErrors(Around):
    """Ends a call that raised an exception with the matching status."""

    def __init__(self, cancelled: Cancelled, goodbye_seconds: float = GOODBYE_SECONDS) -> None:
        super().__init__()
        self._cancelled = cancelled
        self._goodbye_seconds = goodbye_seconds

    def around(self, method: str, inner: Behaviour, *, streams: bool) -> Behaviour:  # noqa: ARG002
        async def translated(request: object, call: Call) -> object:
            try:
                return await inner(request, call)
            except asyncio.CancelledError as error:
                refusal = self._refusal_of_cancelled(method, error)
                if refusal is None:
                    raise  # the caller has cancelled
            except Refusal as error:
                # its traceback would keep this frame, and so the request, in a reference cycle
                refusal = error.with_traceback(None)
            except TimeoutError:
                await call.context.abort(StatusCode.DEADLINE_EXCEEDED, TOO_LATE)
            except ReaderStalled:
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._goodbye_seconds):
                        await refuse(call, Overloaded(0.1), StatusCode.UNAVAILABLE)
                return None
            except grpc.aio.BaseError:
                raise  # gRPC's own: the call was aborted, or the caller has left
            except Exception as error:  # noqa: BLE001  the last place that can log it
                refusal = _refusal_of(method, error)
            return await refuse(call, refusal)

        return translated

    def _refusal_of_cancelled(self, method: str, error: asyncio.CancelledError) -> Refusal | None:
        """Return the refusal for a cancelled call; None if the caller cancelled it."""
        task = asyncio.current_task()
        assert task is not None
        if self._cancelled.was_cancelled_by_us(task):
            task.uncancel()
            return ShuttingDown(1.0)
        return None if task.cancelling() else bug(_log, error, method)


def _refusal_of(method: str, error: Exception) -> Refusal:
    match error:
        case StorageError():  # of a read: the ledger translates those of writes
            return refusal_of_read(error, READ_RETRY_SECONDS)
        case DecodeError():  # of a request stream, whose requests gRPC decodes one by one
            return undecodable()
        case _:
            return bug(_log, error, method)
