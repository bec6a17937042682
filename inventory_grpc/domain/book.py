"""The protocols between decisions and whoever runs them: commands, the book, and states."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple, Protocol, Self

from inventory_grpc.domain.event import Change, Event, EventOutOfOrder, Fact, Key, Levels
from inventory_grpc.domain.refusals import Refusal
from inventory_grpc.domain.values import Instant


class Book(Protocol):
    """The state that decisions read: folded from the log, as of one moment."""

    @property
    def now(self) -> Instant: ...

    def get(self, key: Key) -> Any:  # noqa: ANN401  of the class that the registry has for the key's
        """Return the state of a stream, or that of a subject, None if it was never begun."""
        ...


class Command(Protocol):
    """A caller's wish, well formed. Who sent it, and why, is its `Cause`."""

    @property
    def touches(self) -> Collection[Key]:
        """The keys whose states the decision reads."""
        ...

    @property
    def about(self) -> Key | None:
        """The subject that must exist already, if the command is about one.

        To a caller who may not see all of its streams it does not exist.
        """
        ...

    def decide(self, book: Book) -> Sequence[Change]:
        """Return the changes that follow; none if what is asked is so already.

        No clock, no randomness, no awaiting: the book says what time it is.

        Raises:
            Refusal: why nothing happens.
        """
        ...


class StreamState(Protocol):
    """The state of a stream, made of its key before the first event. States are immutable.

    One that has levels also has `available`, and `at(event)`: its events alone say it.
    """

    @property
    def version(self) -> int: ...

    @property
    def levels(self) -> Levels | None: ...

    def then(self, fact: Fact, time: Instant) -> Self:
        """Return the state once *fact*, recorded at *time*, has happened."""
        ...


def followed(state: StreamState, event: Event) -> StreamState:
    """Return the state right after *event*.

    Raises:
        EventOutOfOrder: it is not the next one.
    """
    if event.version != state.version + 1:
        raise EventOutOfOrder(f"{event.key}: {event.version} after {state.version}")
    return state.then(event.fact, event.record_time)


class SubjectState(Protocol):
    """The fold of the events that carry a subject's key."""

    @classmethod
    def begin(cls, first: Event) -> Self:
        """Return the state that *first* begins, with no event folded in yet."""
        ...

    def evolve(self, events: Sequence[Event]) -> Self:
        """Return the state once *events*, its next ones, have happened."""
        ...

    @property
    def streams(self) -> Collection[Key]:
        """The streams that its events belong to."""
        ...

    @property
    def expire_time(self) -> Instant | None: ...

    def is_due(self, now: Instant) -> bool:
        """Tell whether its time is over and it has to be expired."""
        ...

    def holds(self) -> Mapping[Key, int]:
        """Return the units that it keeps from others, by stream."""
        ...

    def expire(self) -> Sequence[Change]:
        """Return the changes by which it ends, for its time is over."""
        ...

    @staticmethod
    def not_found(key: Any) -> Refusal:  # noqa: ANN401  of the kind of the state
        """Return the refusal for a caller to whom it does not exist."""
        ...


class Noun(NamedTuple):
    """A kind of thing that events are of, or about: its key, its state and its facts."""

    kind: int
    """The number of its keys. It is stored for ever, as the name is: a new noun has the next."""
    name: str
    key: type[Any]
    facts: tuple[type[Fact], ...]
    stream: type[StreamState] | None = None
    """Its state, if it has streams of its own."""
    subject: type[SubjectState] | None = None
    """Its state, if events of other streams are about it."""
