"""Unary calls, retried until they are answered or their time limit is reached."""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable
from typing import Final, Generic, TypeVar

import grpc
from grpc.aio import UnaryUnaryMultiCallable
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception
from tenacity.wait import wait_random_exponential

from inventory_grpc.client.connections import Closed, Connection, Connections
from inventory_grpc.client.errors import Cancelled, DeadlineExceeded, InventoryError, Refused
from inventory_grpc.client.messages import shown
from inventory_grpc.client.tracing import trace_context
from inventory_grpc.client.translation import translated
from inventory_grpc_protos.v1.commands_pb2 import ExecuteBatchRequest

Request = TypeVar("Request")
Response = TypeVar("Response")
Method = Callable[[Connection], UnaryUnaryMultiCallable[Request, Response]]

MAX_TIMEOUT: Final = 86_400.0
"""The longest timeout in seconds; gRPC cannot handle infinity."""

FIRST_WAIT: Final = 0.05
LONGEST_WAIT: Final = 2.0
"""The bounds of the random delay before the second attempt, and before any."""

_JITTER = wait_random_exponential(multiplier=FIRST_WAIT, max=LONGEST_WAIT)


def checked_timeout(timeout: float) -> float:
    """Return *timeout*.

    Raises:
        TypeError: it is not a number of seconds.
        ValueError: it is not above 0, or above the maximum, or not a number.
    """
    if isinstance(timeout, bool) or not isinstance(timeout, int | float):
        raise TypeError(f"timeout must be a number of seconds, not {shown(timeout)}")
    if not 0 < timeout <= MAX_TIMEOUT:
        raise ValueError(
            f"timeout must be above 0 and at most {MAX_TIMEOUT:,.0f} seconds, not {shown(timeout)}"
        )
    return float(timeout)


class Calls:
    """Sends requests, with retries where these are safe and may help."""

    def __init__(
        self,
        connections: Connections,
        timeout: float,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] | None = None,
    ) -> None:
        self.connections = connections
        self.clock = clock
        self.sleep = sleep or connections.pause
        self._timeout = checked_timeout(timeout)

    async def __call__(
        self,
        method: Method[Request, Response],
        request: Request,
        timeout: float | None = None,  # noqa: ASYNC109  sent to the server as the deadline
    ) -> Response:
        """Return the response of *method* to *request*, within *timeout* seconds overall.

        Raises:
            InventoryError: the last failure, when a retry cannot help or the time is too short.
        """
        response, _ = await self.answer(method, request, timeout)
        return response

    async def answer(
        self,
        method: Method[Request, Response],
        request: Request,
        timeout: float | None,  # noqa: ASYNC109  as above
    ) -> tuple[Response, bool]:
        """Return the response, and whether an earlier attempt may have been recorded too."""
        seconds = self._timeout if timeout is None else checked_timeout(timeout)
        call = _Call(self, method, request, seconds)
        return await call.answer(), call.in_doubt


class _Call(Generic[Request, Response]):
    """One logical call: the same request on every attempt, and one deadline for all."""

    def __init__(
        self, calls: Calls, method: Method[Request, Response], request: Request, seconds: float
    ) -> None:
        self._calls = calls
        self._method = method
        self._request = request
        self._request_id: str = getattr(request, "request_id", "")
        self._writes = bool(self._request_id) or isinstance(request, ExecuteBatchRequest)
        self._deadline = calls.clock() + seconds
        self._begun = not calls.connections.closed
        self.in_doubt = False
        """Whether an attempt that failed may have been recorded."""

    async def answer(self) -> Response:
        # tenacity costs 45 us, a fifth of a call, so it is used only after a failure, which
        # the first attempt inside it raises again.
        try:
            return await self._attempt()
        except InventoryError as error:
            if not error.repeatable:
                raise
            failed = [error]

        async def next_attempt() -> Response:
            if failed:
                raise failed.pop()
            return await self._attempt()

        retrying = AsyncRetrying(
            retry=retry_if_exception(_is_repeatable),
            wait=_pushback_and_jitter,
            stop=self._would_be_late,
            sleep=self._calls.sleep,
            reraise=True,
        )
        return await retrying(next_attempt)

    def _remaining(self) -> float:
        return max(0.0, self._deadline - self._calls.clock())

    def _would_be_late(self, state: RetryCallState) -> bool:
        return state.upcoming_sleep >= self._remaining()

    async def _attempt(self) -> Response:
        seconds = self._remaining()
        if not seconds:
            raise self._not_sent("its time limit was reached before")
        connections = self._calls.connections
        try:
            connection = await connections.take(seconds)
        except TimeoutError as error:
            raise self._not_sent(str(error)) from None
        except Closed:
            if self._begun:  # it waited for a connection, or for a retry
                raise self._failed(closed(self._request_id, in_doubt=False)) from None
            raise
        try:
            return await self._sent(connection)
        finally:
            connections.give_back(connection)

    async def _sent(self, connection: Connection) -> Response:
        try:
            return await self._method(connection)(
                self._request, timeout=self._remaining(), metadata=trace_context()
            )
        except grpc.aio.AioRpcError as failure:
            raise self._failed(translated(failure, request_id=self._request_id)) from failure
        except asyncio.CancelledError:
            if self._calls.connections.closed_under_a_call():
                raise self._failed(closed(self._request_id)) from None
            raise

    def _not_sent(self, why: str) -> InventoryError:
        error = DeadlineExceeded(
            grpc.StatusCode.DEADLINE_EXCEEDED,
            message=f"not sent: {why}",
            request_id=self._request_id,
        )
        error.in_doubt = False
        return self._failed(error)

    def _failed(self, error: InventoryError) -> InventoryError:
        """Set on *error* whether this or an earlier attempt may have been recorded."""
        self.in_doubt |= self._writes and error.in_doubt
        # A refusal settles it: if an earlier attempt had been recorded, its answer would have
        # been returned.
        error.in_doubt = self.in_doubt and not isinstance(error, Refused)
        return error


def closed(request_id: str = "", *, in_doubt: bool = True) -> InventoryError:
    """Return the error of a call that was running when its client was closed."""
    error = Cancelled(
        grpc.StatusCode.CANCELLED,
        message="this InventoryClient was closed before there was an answer",
        retry_after=math.inf,
        request_id=request_id,
    )
    error.in_doubt = in_doubt
    return error


def _is_repeatable(error: BaseException) -> bool:
    return isinstance(error, InventoryError) and error.repeatable


def _pushback_and_jitter(state: RetryCallState) -> float:
    """Return the server's retry delay plus jitter, so that clients do not retry together."""
    error = state.outcome.exception() if state.outcome else None
    pushback = error.retry_after if isinstance(error, InventoryError) else None
    return (pushback or 0.0) + _JITTER(state)
