"""Facts, and the events that give them a place in the log.

The name of a fact's class and of its fields are what is stored, for ever: a fact or a field
is only ever added, and a new meaning is a new fact.
"""

from typing import Any, NamedTuple, TypeAlias

from inventory_grpc.domain.values import Instant, immutable

Key: TypeAlias = Any
"""The id of a stream or of a subject, hashable; its class says of which kind. See `registry.py`.

Keys of two kinds are never equal. A key is made of its name, which `str` returns; only a stock's
has two parts.
"""


Moves: TypeAlias = tuple[int, int]
"""By how many units a fact moves the two levels of a stock."""


@immutable
class Fact:
    """Something that happened; never refused."""

    @property
    def subject(self) -> Key | None:
        """The key of a second thing that the fact is about, beside its stream."""
        return None

    @property
    def moves(self) -> Moves:
        """By how much it moves the units on hand, and the units reserved."""
        return 0, 0


Change: TypeAlias = tuple[Key, Fact]
"""A fact that a decision has recorded, behind the key of the stream that it belongs to."""


class Cause(NamedTuple):
    """Who asked, under which request, and why. Empty where nobody said."""

    request_id: str = ""
    actor: str = ""
    reason: str = ""
    reference: str = ""
    occur_time: Instant | None = None


class Levels(NamedTuple):
    """How much of a stock there is, and how much of it is promised."""

    on_hand: int
    reserved: int

    @property
    def available(self) -> int:
        """The units that may be reserved now."""
        spare = self.on_hand - self.reserved
        return spare if spare > 0 else 0  # noqa: FURB136  half the time, at every event

    @property
    def shortfall(self) -> int:
        """The units that are promised and not on hand."""
        lacking = self.reserved - self.on_hand
        return lacking if lacking > 0 else 0  # noqa: FURB136  as above


class Event(NamedTuple):
    """A fact in its place in the log: when and why it happened, and the levels after it."""

    position: int
    command_position: int
    key: Key
    version: int
    record_time: Instant
    cause: Cause
    fact: Fact
    after: Any
    """The `Levels` right after it; None in a stream that has none."""


class EventOutOfOrder(Exception):
    """An event was missed, or applied twice: a bug, never a caller's doing."""
