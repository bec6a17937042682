"""Sends the rows of a file in one stream, again and again until each of them has its outcome."""

import asyncio
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import aclosing
from typing import Any, Final

from inventory_grpc.cli.files.requests import Batch, Report, Tally
from inventory_grpc.cli.files.text import BadFile, BadRow
from inventory_grpc.client import (
    InvalidValue,
    InventoryClient,
    InventoryError,
    PermissionDenied,
    Refused,
    Unauthenticated,
    Untrusted,
)

AHEAD: Final = 4
"""Messages that are sent and not answered; the server reads two ahead."""

FIRST_PAUSE: Final = 0.1
LONGEST_PAUSE: Final = 3.0
"""Seconds before an attempt; each pause is twice as long as the one before."""

_OF_A_ROW: Final = (Refused, PermissionDenied)
"""Errors of one command that the same command would get again."""

_FINAL: Final = (Refused, PermissionDenied, Unauthenticated, Untrusted)
"""Errors of a stream that another one would get too."""


class Sender:
    def __init__(
        self, client: InventoryClient, patience: float, tally: Tally, report: Report
    ) -> None:
        self._client = client
        self._patience = patience
        """Seconds without an outcome after which it gives up."""
        self._tally = tally
        self._report = report
        self._sent: deque[Batch] = deque()
        """Those without an outcome. Another attempt begins with them."""
        self._fault: Exception | None = None

    async def send(
        self, batches: Iterator[Batch], answered: Callable[[], None], note: Callable[[str], None]
    ) -> None:
        """Send all *batches*, and call *answered* after each; *note* a lost connection.

        Raises:
            InventoryError: the server refuses the stream, or gave no outcome for too long.
            BadFile: the file cannot be read on; the rows before have been sent.
            OSError: the file cannot be read.
        """
        pause, heard = FIRST_PAUSE, time.monotonic()
        while True:
            try:
                async with aclosing(self._stream(batches)) as outcomes:
                    async for _ in outcomes:
                        pause, heard = FIRST_PAUSE, time.monotonic()
                        answered()
            except InventoryError as failure:
                waited = time.monotonic() - heard
                if isinstance(failure, _FINAL) or waited + pause > self._patience:
                    raise
                if pause == FIRST_PAUSE:
                    note(f"{failure.reason or failure.code.name}: sending it again")
            else:
                break
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)
        if self._fault:
            raise self._fault

    async def _stream(self, batches: Iterator[Batch]) -> AsyncGenerator[None, None]:
        """Make one attempt; yield after each message that has its outcome."""
        room = asyncio.Semaphore(AHEAD - len(self._sent))
        again = list(self._sent)

        async def messages() -> AsyncGenerator[Sequence[Any], None]:
            for batch in again:
                yield batch.requests
            while True:
                await room.acquire()
                if (following := self._next(batches)) is None:
                    return
                self._sent.append(following)
                yield following.requests

        async with aclosing(self._client.execute_stream(messages())) as outcomes:
            async for results in outcomes:
                self._take(self._sent[0], results)
                self._sent.popleft()
                room.release()
                yield

    def _next(self, batches: Iterator[Batch]) -> Batch | None:
        """Return the next batch; None at the end, or where the file cannot be read on."""
        try:
            return next(batches, None)
        except (BadFile, OSError) as fault:
            self._fault = fault  # an attempt that fails meanwhile must not hide it
            return None

    def _take(self, batch: Batch, results: Sequence[Any]) -> None:
        """Take the outcomes of *batch*, all of them or none.

        Raises:
            InventoryError: that of a command, which has to be sent again.
        """
        failed: dict[int, InventoryError] = {}
        fresh = set()
        for row, result in zip(batch.rows, results, strict=True):
            if not isinstance(result, InventoryError):
                if not result.replayed:
                    fresh.add(row)
                self._tally.position = max(self._tally.position, result.position)
            elif isinstance(result, _OF_A_ROW):
                failed.setdefault(row, result)
            else:
                raise result
        for row, failure in failed.items():
            self._report(row, _fault(failure))
        self._tally.recorded += len(fresh - failed.keys())
        self._tally.before += len({*batch.rows} - fresh - failed.keys())


def _fault(failure: InventoryError) -> BadRow:
    if isinstance(failure, InvalidValue):
        for first in failure.violations:
            return BadRow(first.field, first.problem)
    return BadRow("", f"{failure.reason or failure.code.name}: {failure.message}")
