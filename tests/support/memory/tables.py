"""The log in memory and its indexes.

Everything here is derived from the log, except the requests, which are stored.
"""

from bisect import bisect_left, insort
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

from inventory_grpc.application.outcomes import Answered, RequestKey, State
from inventory_grpc.application.ports import KeptTime, Walk
from inventory_grpc.domain.book import apply_event
from inventory_grpc.domain.event import Event, Key
from inventory_grpc.domain.levels import Levels
from inventory_grpc.domain.policy import NOTHING, PolicyScope, ScopedPolicy
from inventory_grpc.domain.product import ProductKey
from inventory_grpc.domain.registry import STREAMS, SUBJECTS
from inventory_grpc.domain.reservation import Reservation
from inventory_grpc.domain.reversal import Trail
from inventory_grpc.domain.store import StoreKey
from inventory_grpc.domain.values import EntryState, Instant, ReservationId, StockId
from inventory_grpc.infrastructure.codec import encoded

K = TypeVar("K")


class Numbered(NamedTuple):
    """A reservation, and the position at which it began."""

    number: int
    reservation: Reservation


class Due(NamedTuple):
    """The expiry of a reservation; among equals, the one made first comes first."""

    expire_time: Instant
    number: int
    reservation_id: ReservationId


class Tables:
    """The log, and where in it the events of a stream and of a reservation are."""

    def __init__(self, log_id: str) -> None:
        self.log_id = log_id
        self.former_names: dict[str, int] = {}
        """The last position under each former id of the log."""
        self.place = ""
        """The place where the log goes on, if it is sealed."""
        self.events: list[Event] = []
        self.encoded: list[bytes] = []
        self.streams: dict[Key, list[int]] = {}
        """The positions of each one's events: the last has the version of their number."""
        self.begun: dict[ReservationId, list[int]] = {}
        """The positions of each one's events, in the order in which they were made."""
        self.requests: dict[RequestKey, Answered] = {}
        """In the order in which they were answered."""
        self.kept_time: KeptTime | None = None
        self.walks: Mapping[Key, Walk] = {}
        """The walks of changed terms by their subjects, as they are stored."""
        self.filled: dict[Key, None] = {}
        """The stocks for which goods have come in, and whose fills are not recorded."""
        self._reservations: dict[ReservationId, Numbered] = {}
        self._due: dict[StockId | None, list[Due]] = {}

    @property
    def head(self) -> int:
        return len(self.events)

    def time_of(self, position: int) -> Instant:
        """Return when the event at *position* was recorded; before the first, long ago."""
        return self.events[position - 1].record_time if position else Instant(0)

    def append(self, events: Sequence[Event]) -> None:
        """Add one command's events."""
        changed: dict[ReservationId, Reservation] = {}
        for event, data in zip(events, encoded(self.log_id, events), strict=True):
            positions = self.streams.setdefault(event.key, [])
            assert event.position == self.head + 1, f"{event.position} after {self.head}"
            assert event.version == len(positions) + 1, f"{event.key}: {event.version}"
            assert event.after is None or _is_possible(event.after), f"{event.key}: {event.after}"
            self.encoded.append(data)
            self.events.append(event)
            positions.append(event.position)
            self._note_fills(event.key)
            if (name := event.fact.subject) is not None and type(name) in SUBJECTS:
                before = changed.get(name) or self.reservation(name) or Reservation.begin(event)
                changed[name] = before.evolve([event])
                self.begun.setdefault(name, []).append(event.position)
        for name, reservation in changed.items():
            self._show(name, reservation)

    def truncate(self, position: int) -> None:
        """Take back every event after *position*."""
        gone = self.events[position:]
        del self.events[position:], self.encoded[position:]
        touched: set[ReservationId] = set()
        for event in gone:
            _shorten(self.streams, event.key)
            if (name := event.fact.subject) is not None and type(name) in SUBJECTS:
                _shorten(self.begun, name)
                touched.add(name)
        for event in gone:
            self._note_fills(event.key)
        for reservation_id in touched:
            self._show(reservation_id, self.reservation_at(reservation_id, position))

    def _note_fills(self, key: Key) -> None:
        self.filled.pop(key, None)
        if isinstance(key, StockId) and self.stream(key).levels.fills_due:
            self.filled[key] = None

    def stock_ids(self) -> Iterator[StockId]:
        """Yield the stocks that have a history."""
        return (key for key in self.streams if isinstance(key, StockId))

    def policies(self) -> Iterator[ScopedPolicy]:
        return (self.stream(key) for key in self.streams if isinstance(key, PolicyScope))

    def has_terms(self) -> Iterator[bool]:
        """Yield for each policy, product and store whether it sets terms of stocks."""
        for key in self.streams:
            if isinstance(key, PolicyScope):
                yield self.stream(key).policy != NOTHING
            elif isinstance(key, ProductKey | StoreKey):
                yield self.stream(key).state is EntryState.RETIRED

    def state_at(self, key: Key, upto: int) -> State | None:
        """Return a stream as its events up to a position say, if there are any."""
        positions = self.streams.get(key, [])
        version = bisect_left(positions, upto + 1)
        if not version:
            return None
        last = self.events[positions[version - 1] - 1]
        kind: Any = STREAMS[type(key)]
        if last.after is not None:
            return kind.at(last)
        state = kind(key)
        for position in positions[:version]:
            state = apply_event(state, self.events[position - 1])
        return state

    def newest_of(self, key: Key) -> State | None:
        return self.state_at(key, self.head)

    def stream(self, key: Key) -> State:
        """Return the newest state of a stream, also of one without a history."""
        kind: Any = STREAMS[type(key)]
        return self.newest_of(key) or kind(key)

    def trail(self, position: int) -> Trail | None:
        """Return the event at *position*, and those after it that bear on its reversal."""
        if position > self.head:
            return None
        return Trail(self.events[position - 1], 0, ()).followed_by(self.events)

    def reservation(self, reservation_id: ReservationId) -> Reservation | None:
        """Return a reservation as it is now,."""
        numbered = self._reservations.get(reservation_id)
        return numbered.reservation if numbered else None

    def reservation_at(self, reservation_id: ReservationId, upto: int) -> Reservation | None:
        """Return a reservation folded from its events up to a position, if there are any."""
        reservation = None
        for position in self.begun.get(reservation_id, ()):
            event = self.events[position - 1]
            if position > upto:
                break
            reservation = reservation or Reservation.begin(event)
            reservation = reservation.evolve([event])
        return reservation

    def newest(self) -> Iterator[Numbered]:
        """Yield all reservations, the one made last first."""
        return (self._reservations[reservation_id] for reservation_id in reversed(self.begun))

    def due(self, stock_id: StockId | None) -> Sequence[Due]:
        """Return what is held of a stock, or (None) of any: what is over first is first."""
        return self._due.get(stock_id, ())

    def _show(self, reservation_id: ReservationId, now: Reservation | None) -> None:
        """Have a reservation be as it is *now*, also in the lists of what is due."""
        if before := self._reservations.pop(reservation_id, None):
            for due, entry in self._lists(before):
                del due[bisect_left(due, entry)]
        if now:
            numbered = Numbered(self.begun[reservation_id][0], now)
            self._reservations[reservation_id] = numbered
            for due, entry in self._lists(numbered):
                insort(due, entry)

    def _lists(self, numbered: Numbered) -> Iterator[tuple[list[Due], Due]]:
        """Yield each list of what is due that a reservation belongs into, and as what."""
        number, reservation = numbered
        if reservation.held and reservation.expire_time is not None:
            entry = Due(reservation.expire_time, number, reservation.reservation_id)
            for stock_id in (None, *reservation.holds()):
                yield self._due.setdefault(stock_id, []), entry


def _is_possible(levels: Levels) -> bool:
    """Return whether nothing is there less than never, in no state either."""
    return min(levels.on_hand, levels.reserved, levels.sellable, *dict(levels.states).values()) >= 0


def _shorten(positions: dict[K, list[int]], key: K) -> None:
    positions[key].pop()
    if not positions[key]:
        del positions[key]
