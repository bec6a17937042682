"""Expires overdue subjects: before the commands of a batch that need it, and in steps."""

from collections.abc import Iterator, Mapping
from typing import Final

from inventory_grpc.application.ledger.atomic import AnyCommand
from inventory_grpc.application.ledger.needs import NotRead, ReadData
from inventory_grpc.application.ledger.workbook import Workbook
from inventory_grpc.application.outcomes import State
from inventory_grpc.domain.event import Cause, Key
from inventory_grpc.domain.registry import SUBJECTS
from inventory_grpc.domain.values import Instant

MAX_EXPIRED: Final = 256
"""Subjects expired in one step."""

MAX_EXPIRED_EVENTS: Final = 2_048
"""Events of one expiry step; its last subject may exceed this."""

MAX_DUE: Final = 2 * MAX_EXPIRED
"""Keys of overdue subjects per read; the batch itself may have expired some of them."""

DUE_AT_ONCE: Final = 32
"""States of overdue subjects per read; usually the first few free enough units."""


class Expiry:
    """The expiry in one batch, recorded in its *book*.

    It raises `NotRead` for missing data, as `Batch` does.
    """

    def __init__(self, book: Workbook, read: ReadData, earliest_expiry: Instant | None) -> None:
        self.is_any_due = earliest_expiry is not None and earliest_expiry <= book.now
        self._book, self._read = book, read
        self._expired = 0
        """Subjects expired for the current command."""
        self._first_event = 0
        """Events recorded before the current command."""

    def begin_command(self) -> None:
        """Allow one step for the next command."""
        self._expired, self._first_event = 0, len(self._book.recorded)

    def expire_touched(self, command: AnyCommand) -> None:
        """Expire the overdue subjects that *command* reads."""
        for key in command.touches:
            if type(key) in SUBJECTS:
                state = self._book.get(key)
                if state is not None and state.is_due(self._book.now):
                    self._expire(state)

    def free(self, wanted: Mapping[Key, int]) -> bool:
        """Expire overdue subjects, oldest first, until *wanted* is available.

        Return False if one step is not enough.
        """
        if unread := [key for key in wanted if key not in self._read.due]:
            raise NotRead(due=unread)
        for stream, units in wanted.items():
            for state in self._due(stream):
                if units <= self._book.get(stream).available:
                    break
                if self._has_expired_enough():
                    return False
                self._expire(state)
            is_all = len(self._read.due[stream]) < MAX_DUE
            if not is_all and units > self._book.get(stream).available:
                return False
        return True

    def expire_due(self) -> None:
        """Expire one step of overdue subjects, oldest first."""
        if None not in self._read.due:
            raise NotRead(due=[None])
        for state in self._due(None):
            if self._has_expired_enough():
                break
            self._expire(state)

    def _has_expired_enough(self) -> bool:
        events = len(self._book.recorded) - self._first_event
        return self._expired == MAX_EXPIRED or events >= MAX_EXPIRED_EVENTS

    def _due(self, stream: Key | None) -> Iterator[State]:
        """Yield the subjects that are still overdue, oldest first."""
        overdue = self._read.due[stream]
        for first in range(0, len(overdue), DUE_AT_ONCE):
            keys = overdue[first : first + DUE_AT_ONCE]
            self._book.require(keys)
            for key in keys:
                state = self._book.get(key)
                if state.is_due(self._book.now) and (stream is None or stream in state.holds()):
                    yield state

    def _expire(self, state: State) -> None:
        changes = state.expire()
        self._book.require([key for key, _ in changes])
        self._book.append_own(changes, Cause(occur_time=state.expire_time))
        self._expired += 1
