"""The protocols between decisions and the engine that runs them: commands, the book, and states."""

from collections.abc import Collection, Mapping, Sequence
from enum import Enum
from typing import Any, Final, NamedTuple, Protocol, Self

from inventory_grpc.domain.event import Change, Event, EventOutOfOrder, Fact, Key
from inventory_grpc.domain.levels import Levels, ShownLevels
from inventory_grpc.domain.refusals import Refusal
from inventory_grpc.domain.values import Instant

ALL_UNITS: Final = 2**63
"""More units than any stock has; where so many are wanted, all overdue holds on it expire."""


class Book(Protocol):
    """The states that decisions read: folded from the log, at one moment."""

    @property
    def now(self) -> Instant: ...

    @property
    def needs_catalogue(self) -> bool:
        """Whether only stocks of known products and stores may get a history."""

    def require(self, keys: Collection[Key]) -> None:
        """Have the unknown states of *keys* read together, before a decision gets them."""

    def version_before(self, key: Key) -> int:
        """Return the version of a stream without the server's own events before this command.

        It is the version that a caller can have read, and so the one to compare.
        """

    def let_go_overdue(self, wanted: Mapping[Key, int]) -> None:
        """Have overdue holds expire until *wanted* is available, before units are refused.

        The command is decided once more then, and the second call does nothing.
        """

    def fill_due(self, stock_ids: Collection[Key], needed: Collection[Key] | None = None) -> None:
        """Have the fills recorded that are due on stocks; the command is decided once more then.

        So no promise loses goods that came in for it because its fill was a moment late. If more
        are due than one command may record, it is refused for now; but not if all are recorded
        on the *needed* stocks, which by default are all of them.
        """

    def get(self, key: Key) -> Any:  # noqa: ANN401  `domain.registry` maps the key's class to it
        """Return the state of a stream or subject; None for a subject without events.

        The state of an `EventAt` is the `Trail` of the event; None if there is no such event. A
        stock has the terms in force, whether they are recorded or not.
        """

    def recorded_state(self, key: Key) -> Any:  # noqa: ANN401  as above
        """Return the state as it is recorded, which is what callers read."""


class Command(Protocol):
    """A valid command from a caller. Its `Cause` has the actor and the reason."""

    @property
    def touches(self) -> Collection[Key]:
        """The keys whose states the decision reads."""

    @property
    def about(self) -> Key | None:
        """The subject or event that must exist, if the command needs one.

        It does not exist for a caller whose scope lacks one of its streams.
        """

    def decide(self, book: Book) -> Sequence[Change]:
        """Return the changes to record; none if the state is already as requested.

        A decision uses no clock, no randomness and no I/O; the book has the time.

        Raises:
            Refusal: the command is not possible; nothing is recorded.
        """


class StreamState(Protocol):
    """The immutable state of a stream; the constructor takes the key, and returns version 0.

    A state with levels also has `available`, and `at(event)`, since each event has the levels.
    """

    @property
    def key(self) -> Key: ...

    @property
    def version(self) -> int: ...

    @property
    def levels(self) -> Levels | ShownLevels | None: ...

    def then(self, fact: Fact, time: Instant) -> Self:
        """Return the state after *fact*, recorded at *time*."""


def apply_event(state: StreamState, event: Event) -> StreamState:
    """Return the state right after *event*.

    Raises:
        EventOutOfOrder: its version is not the next one.
    """
    if event.version != state.version + 1:
        raise EventOutOfOrder(f"{event.key}: {event.version} after {state.version}")
    return state.then(event.fact, event.record_time)


class SubjectState(Protocol):
    """The state of a subject, folded from the events that name it."""

    @classmethod
    def begin(cls, first: Event) -> Self:
        """Return the state before *first*, the subject's first event, is folded in."""

    def evolve(self, events: Sequence[Event]) -> Self:
        """Return the state after *events*, which are the subject's next ones."""

    @property
    def streams(self) -> Collection[Key]:
        """The streams that its events belong to."""

    @property
    def expire_time(self) -> Instant | None: ...

    def is_due(self, now: Instant) -> bool:
        """Return whether it is overdue and has to be expired."""

    def holds(self) -> Mapping[Key, int]:
        """Return the reserved units by stream."""

    def expire(self) -> Sequence[Change]:
        """Return the changes that expire it."""

    def waiting(self, stream: Key) -> tuple[int, int]:
        """Return the units that wait for goods of a stock, and the position since when."""

    def fill(self, stream: Key, units: int) -> Sequence[Change]:
        """Return the changes by which *units* of the stock *stream* wait no longer."""

    @staticmethod
    def not_found(key: Any) -> Refusal:  # noqa: ANN401  a key of this kind
        """Return the refusal for a caller for whom the subject does not exist."""


class Audience(Enum):
    """The callers with only some stores who see the events of a stream, beside all others."""

    ALL_STORES = "nobody: only callers with all stores see them"
    ITS_STORE = "callers with the store that the key names"
    NO_OTHER_STORE = "callers with the store that the key names, and all if it names none"
    EVERYBODY = "every caller"


class Noun(NamedTuple):
    """A kind of stream or subject: its key, its state and its facts."""

    kind: int
    """The stored number of the kind. Neither it nor the name may ever change."""
    name: str
    key: type[Any]
    facts: tuple[type[Fact], ...]
    stream: type[StreamState] | None = None
    """The state, if the noun has streams."""
    subject: type[SubjectState] | None = None
    """The state, if events of other streams name it as their subject."""
    audience: Audience = Audience.ALL_STORES
    is_whole: bool = False
    """Whether a fact has all of the state, so the first event and the last one suffice for it.

    The first one has the time since when there is one.
    """
