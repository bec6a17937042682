"""The protocols between decisions and whoever runs them: commands, the book, and states."""

from collections.abc import Collection, Sequence
from typing import Any, Protocol, Self

from inventory_grpc.domain.event import Change, Event, Key
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


class SubjectState(Protocol):
    """The fold of the events that carry a subject's key."""

    @property
    def position(self) -> int:
        """The position of the last event folded in."""
        ...

    @property
    def streams(self) -> Collection[Key]:
        """The streams that its events belong to."""
        ...

    def evolve(self, events: Sequence[Event]) -> Self:
        """Return the state once the *events* of one command have happened."""
        ...

    def is_due(self, now: Instant) -> bool:
        """Tell whether its time is over and it has to be expired."""
        ...
