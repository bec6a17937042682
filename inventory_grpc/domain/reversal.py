"""The reversal of one recorded event by the opposite fact, once.

A count that stands corrects all earlier changes of the units that it counted, which are those in
one state or all of the stock: to undo one of these would correct it twice. A count
that was reversed counts for nothing, unless that reversal was reversed as well.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from inventory_grpc.domain.book import Book
from inventory_grpc.domain.event import Change, Event, Key
from inventory_grpc.domain.refusals import Refusal, SubjectNotFound
from inventory_grpc.domain.stock import StockFenced, check_channels, check_fence, check_possible
from inventory_grpc.domain.values import EventAt, immutable


@dataclass(eq=False)
class AlreadyReversed(Refusal):
    """The event was reversed before, even if that reversal was reversed since."""

    position: int
    by_position: int
    """The position of the reversal."""

    def __str__(self) -> str:
        return f"event {self.position} was reversed by event {self.by_position}"

    def facts(self) -> Mapping[str, str]:
        return {"position": str(self.position), "by_position": str(self.by_position)}


@dataclass(eq=False)
class NotReversible(Refusal):
    """The fact of the event cannot be undone, or a later count has corrected it."""

    position: int
    by_position: int = 0
    """The position of the newest later count that stands; 0 if the fact is the reason."""

    @property
    def why(self) -> Literal["fact", "counted"]:
        return "counted" if self.by_position else "fact"

    def __str__(self) -> str:
        if self.by_position:
            return f"event {self.position} was corrected by the count in event {self.by_position}"
        return f"event {self.position} has a fact that cannot be reversed"

    def facts(self) -> Mapping[str, str]:
        facts = {"position": str(self.position), "why": self.why}
        return facts | ({"by_position": str(self.by_position)} if self.by_position else {})


class Correction(NamedTuple):
    """A count or a reversal, which bears on the reversal of earlier events of its stream."""

    position: int
    reverses: int
    """The position of the event that it undoes; 0 for a count."""


def standing_counts(newest_first: Iterable[Correction]) -> Iterator[int]:
    """Yield the positions of the counts that stand, the newest one first.

    A reversal is later than the event that it undoes, so it is known when that is reached.
    """
    undone = set[int]()
    for position, reverses in newest_first:
        if position in undone:
            continue
        if reverses:
            undone.add(reverses)
        else:
            yield position


class Trail(NamedTuple):
    """An event, and the later events of its stream that bear on its reversal."""

    event: Event
    reversed_by: int
    """The position of its reversal; 0 if it was not reversed."""
    corrections: tuple[Correction, ...]
    """The later ones, newest first; older ones may be left out if enough counts stand."""

    @property
    def streams(self) -> Collection[Key]:
        return (self.event.key,)

    @property
    def counted_by(self) -> int:
        """The position of the newest later count that stands; 0 if none does.

        A count corrects units, and no fences: those are not physical.
        """
        if not self.event.fact.states:
            return 0
        return next(standing_counts(self.corrections), 0)

    def followed_by(self, events: Iterable[Event]) -> "Trail":
        """Return the trail after *events*, which are later than its corrections, in order."""
        target, key, states = self.event.position, self.event.key, self.event.fact.states
        newer = [
            Correction(event.position, event.fact.reverses)
            for event in events
            if event.key == key
            and event.position > target
            and (event.fact.reverses or event.fact.is_count_of(states))
        ]
        if not newer:
            return self
        reversed_by = next((each.position for each in newer if each.reverses == target), 0)
        corrections = (*reversed(newer), *self.corrections)
        return Trail(self.event, self.reversed_by or reversed_by, corrections)

    @staticmethod
    def not_found(key: EventAt) -> SubjectNotFound:
        return SubjectNotFound(key)


@immutable
class ReverseEvent:
    """Undo the event at a position, also below the reserved units, which causes a shortfall."""

    target: EventAt

    @property
    def touches(self) -> Sequence[EventAt]:
        return (self.target,)

    @property
    def about(self) -> EventAt:
        return self.target

    def decide(self, book: Book) -> Sequence[Change]:
        trail: Trail | None = book.get(self.target)
        if trail is None:
            raise SubjectNotFound(self.target)
        position, _, key, *_ = trail.event
        if trail.reversed_by:
            raise AlreadyReversed(position, trail.reversed_by)
        fact = trail.event.fact.reversal(position)
        if fact is None:
            raise NotReversible(position)
        if counted_by := trail.counted_by:
            raise NotReversible(position, counted_by)
        if isinstance(fact, StockFenced):
            check_channels(book.get(key), fact, "reversed_position")
            check_fence(book, book.get(key), fact)
        else:
            check_possible(book, book.get(key), fact)
        return [(key, fact)]
