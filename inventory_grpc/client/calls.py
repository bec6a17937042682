"""How is one request asked until it is answered, within its time?"""

import time
from typing import Generic, TypeVar

import grpc
from grpc.aio import UnaryUnaryMultiCallable
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, stop_before_delay
from tenacity.wait import wait_random_exponential

from inventory_grpc.client.errors import InventoryError, Refused
from inventory_grpc.client.translation import translated

Request = TypeVar("Request")
Response = TypeVar("Response")

_JITTER = wait_random_exponential(multiplier=0.05, max=2)


class Calls:
    """Asks the server, again where that is safe and may help, until time is up."""

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout

    async def __call__(
        self,
        method: UnaryUnaryMultiCallable[Request, Response],
        request: Request,
        timeout: float | None = None,  # noqa: ASYNC109  sent to the server as the deadline
    ) -> Response:
        """Return the answer of *method* to *request*, within *timeout* seconds overall.

        Raises:
            InventoryError: the last failure, once no other attempt may help or fit.
        """
        response, _ = await self.answer(method, request, timeout)
        return response

    async def answer(
        self,
        method: UnaryUnaryMultiCallable[Request, Response],
        request: Request,
        timeout: float | None,  # noqa: ASYNC109  as above
    ) -> tuple[Response, bool]:
        """Return the same, and whether an earlier attempt may have been recorded as well."""
        call = _Call(method, request, self._timeout if timeout is None else timeout)
        return await call.answer(), call.in_doubt


class _Call(Generic[Request, Response]):
    """One logical call: the same request on every attempt, and one deadline for all."""

    def __init__(
        self, method: UnaryUnaryMultiCallable[Request, Response], request: Request, timeout: float
    ) -> None:
        self._method = method
        self._request = request
        self._deadline = time.monotonic() + timeout
        self.in_doubt = False
        """Whether an attempt that failed may have been recorded."""

    async def answer(self) -> Response:
        # tenacity costs 45 us, a fifth of what a call costs here: it is asked only once
        # something has failed, and is then told so.
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
            stop=stop_before_delay(self._remaining()),
            reraise=True,
        )
        return await retrying(next_attempt)

    def _remaining(self) -> float:
        return max(0.0, self._deadline - time.monotonic())

    async def _attempt(self) -> Response:
        try:
            return await self._method(self._request, timeout=self._remaining())
        except grpc.aio.AioRpcError as failure:
            error = translated(failure, request_id=getattr(self._request, "request_id", ""))
            self.in_doubt |= error.in_doubt
            # A judgement settles it: had an earlier attempt been recorded, the same request
            # would have brought its answer.
            error.in_doubt = self.in_doubt and not isinstance(error, Refused)
            raise error from failure


def _is_repeatable(error: BaseException) -> bool:
    return isinstance(error, InventoryError) and error.repeatable


def _pushback_and_jitter(state: RetryCallState) -> float:
    """Return the wait that the server asked for, and then some, so that not all come at once."""
    error = state.outcome.exception() if state.outcome else None
    pushback = error.retry_after if isinstance(error, InventoryError) else None
    return (pushback or 0.0) + _JITTER(state)
