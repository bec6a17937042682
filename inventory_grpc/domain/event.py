"""Facts, and the events that place them in the log.

The names of fact classes and of their fields are stored and never change: facts and fields
are only ever added, and a new meaning needs a new fact.
"""

from collections.abc import Collection
from typing import Any, ClassVar, NamedTuple, Self, TypeAlias

from inventory_grpc.domain.alerts import Alert
from inventory_grpc.domain.levels import Moves
from inventory_grpc.domain.values import Instant, Name, UnitState, immutable

Key: TypeAlias = Any
"""The hashable id of a stream or subject; `registry.py` maps its class to the kind.

Keys of two kinds are never equal. A key class is constructed from the name, which `str` returns;
only the key of a stock has two parts.
"""


@immutable
class SubjectKey:
    """The key of a stream that is not a stock: an id, and `<kind>/<id>` in events and filters."""

    kind: ClassVar[str]
    id: str
    """A `Name`, or for a scope of stocks two of them."""

    @classmethod
    def named(cls, text: str) -> Self:
        """Return the key that a caller names.

        Raises:
            Malformed: *text* is no name.
        """
        return cls(Name(text))

    def __str__(self) -> str:
        return self.id

    @property
    def covers(self) -> tuple[str, str] | None:
        """The product and the store of the stocks whose terms it sets; an empty one has all.

        None if it sets no terms. The state of one that does has `imposes`, which differs if the
        terms do.
        """
        return None

    @property
    def subject(self) -> str:
        return f"{self.kind}/{self.id}"


@immutable
class Fact:
    """A recorded change; it is never refused."""

    @property
    def subject(self) -> Key | None:
        """The subject that the fact names beside its stream."""
        return None

    @property
    def moves(self) -> Moves:
        """The changes of the units on hand and of the reserved units, and others."""
        return 0, 0, None

    @property
    def states(self) -> Collection[UnitState]:
        """The states whose units it changes."""
        return ()

    @property
    def is_count(self) -> bool:
        """Whether it corrects earlier events of its stream, by a number that was counted."""
        return False

    def is_count_of(self, states: Collection[UnitState]) -> bool:  # noqa: ARG002  for counts
        """Return whether it corrects all earlier changes of the units in one of *states*."""
        return False

    @property
    def reverses(self) -> int:
        """The position of the event that it undoes; 0 if it undoes none."""
        return 0

    def reversal(self, position: int) -> "Fact | None":  # noqa: ARG002  for those that have one
        """Return the fact that undoes this one of the event at *position*, if one can."""
        return None


Change: TypeAlias = tuple[Key, Fact]
"""The key of a stream, and a fact that a decision adds to it."""


class Cause(NamedTuple):
    """The actor, request and reason of an event; a field that the caller left out is empty.

    In an atomic batch, `part` is the number of the command, from 1; otherwise it is 0.
    """

    request_id: str = ""
    actor: str = ""
    reason: str = ""
    reference: str = ""
    occur_time: Instant | None = None
    part: int = 0


class Event(NamedTuple):
    """A fact with its position in the log, its time, its cause and the levels after it."""

    position: int
    command_position: int
    key: Key
    version: int
    record_time: Instant
    cause: Cause
    fact: Fact
    after: Any
    """The `Levels` right after the event; None in a stream without levels.

    In an event that was read from the log they are `ShownLevels`.
    """
    alerts: tuple[Alert, ...] = ()


class EventOutOfOrder(Exception):
    """An event was missed or applied twice, which only a bug can cause."""
