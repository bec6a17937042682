"""Gives goods that came in to the units that wait for them: the fills of backorders.

The levels count goods as theirs from the moment they come in. A fill only records who got them,
so it may be late: it is recorded in steps, and before a command that needs it.
"""

from collections.abc import Collection, Iterator
from operator import itemgetter
from typing import Final

from inventory_grpc.application.ledger.needs import NotRead, ReadData
from inventory_grpc.application.ledger.terms import record_terms
from inventory_grpc.application.ledger.workbook import Workbook
from inventory_grpc.application.outcomes import State
from inventory_grpc.domain.event import Cause, Key
from inventory_grpc.domain.registry import SUBJECTS

MAX_FILLS: Final = 256
"""Fills recorded in one step, and before one command."""

MAX_WAITING: Final = 2 * MAX_FILLS
"""Keys of waiting subjects per read; the batch itself may have ended some of them."""

WAITING_AT_ONCE: Final = 32
"""States of waiting subjects per read; often the goods are for the first few."""


class Fills:
    """The fills in one batch.

    It raises `NotRead` for missing data, as `Batch` does.
    """

    def __init__(self, book: Workbook, read: ReadData) -> None:
        self._book, self._read = book, read

    def fill_due(self) -> None:
        """Record one step of the fills that are due."""
        if self._read.filled is None:
            raise NotRead(fills=True)
        self._book.require(self._read.filled)
        left = MAX_FILLS - len(self._book.recorded)
        for stream in self._read.filled:
            if left <= 0:  # the terms of stocks may be among the events recorded
                break
            left -= self._fill(self._book, stream, left)

    def fill_before(self, fork: Workbook, streams: Collection[Key]) -> None:
        """Record in *fork* the fills that are due on *streams*, before its command is decided.

        The fork then knows the streams on which not all of them were reached.
        """
        left, unreached = MAX_FILLS, set[Key]()
        for stream in streams:
            left -= self._fill(fork, stream, left)
            if fork.get(stream).levels.fills_due:
                unreached.add(stream)
        fork.filled, fork.unreached = frozenset(streams), frozenset(unreached)

    def _fill(self, book: Workbook, stream: Key, limit: int) -> int:
        """Record up to *limit* of the fills that are due on *stream*; return their number."""
        record_terms(book, [stream])
        due: int = book.get(stream).levels.fills_due
        filled = 0
        if not due or not limit:
            return filled
        for units, state in self._queue(book, stream):
            filled += 1
            book.append_own(state.fill(stream, min(due, units)), Cause())
            due -= min(due, units)
            if not due or filled == limit:
                return filled
        # otherwise this step would be tried again for ever
        assert len(self._read.waiting[stream]) == MAX_WAITING, f"nobody waits for {due} of {stream}"
        return filled

    def _queue(self, book: Workbook, stream: Key) -> Iterator[tuple[int, State]]:
        """Yield the subjects that wait for goods of *stream*, the oldest first, and how many units.

        A subject that took its place in this batch is behind all that were read. If not all were
        read, it is left out.
        """
        if stream not in self._read.waiting:
            raise NotRead(waiting=[stream])
        keys = self._read.waiting[stream]
        for first in range(0, len(keys), WAITING_AT_ONCE):
            some = keys[first : first + WAITING_AT_ONCE]
            book.require(some)
            for key in some:
                state = book.get(key)
                units, since = state.waiting(stream)
                if units and since <= book.begun_at:
                    yield units, state
        if len(keys) == MAX_WAITING:
            return
        newcomers: list[tuple[int, int, State]] = []
        for key in book.recorded_about(stream):
            if type(key) in SUBJECTS:
                state = book.get(key)
                units, since = state.waiting(stream)
                if units and since > book.begun_at:
                    newcomers.append((since, units, state))
        for _, units, state in sorted(newcomers, key=itemgetter(0)):
            yield units, state
