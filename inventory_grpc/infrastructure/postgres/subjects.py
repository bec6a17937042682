"""Reads subjects: a snapshot of each, if there is one, and the events after it."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, NamedTuple

from inventory_grpc.application.outcomes import State
from inventory_grpc.domain.event import Event, Key
from inventory_grpc.domain.registry import SUBJECTS
from inventory_grpc.infrastructure.codec import decode
from inventory_grpc.infrastructure.log.states_json import load_state
from inventory_grpc.infrastructure.postgres.events import NO_END
from inventory_grpc.infrastructure.postgres.statement import Bound, Statement
from inventory_grpc.infrastructure.postgres.wanted import WANTED, wanted
from inventory_grpc.infrastructure.postgres.wire import Row

_FOUND: Final = (
    f"{WANTED} JOIN subjects USING (kind, name) LEFT JOIN subject_snapshots AS snapshot "
    "ON snapshot.subject = subjects.subject AND snapshot.position <= $upto::int8"
)
_SUBJECTS: Final = Statement(f"SELECT place, subjects.subject, state FROM {_FOUND}")
_EVENTS: Final = Statement(
    f"SELECT place, event FROM {_FOUND} JOIN events ON events.subject = subjects.subject "
    "AND events.position > coalesce(snapshot.position, 0) AND events.position <= $upto::int8 "
    "ORDER BY place, events.position"
)


class FoldedSubject(NamedTuple):
    """The state of a subject, and the number of events that were folded for it."""

    key: Key
    number: int
    state: State
    events: int


def ask(keys: Sequence[Key], upto: int = NO_END) -> Sequence[Bound]:
    """Return the two statements whose rows `fold` reads."""
    return [one.bind(**wanted(keys), upto=upto) for one in (_SUBJECTS, _EVENTS)]


def fold(
    keys: Sequence[Key], subjects: Iterable[Row], events: Iterable[Row]
) -> Iterator[FoldedSubject]:
    """Yield the *keys* that events are about."""
    by_place: dict[int, list[Event]] = {}
    for place, data in events:
        by_place.setdefault(place, []).append(decode(data))
    for place, number, text in subjects:
        key, later = keys[place - 1], by_place.get(place, [])
        state: Any = load_state(text) if text else None
        if later:
            state = (state or SUBJECTS[type(key)].begin(later[0])).evolve(later)
        yield FoldedSubject(key, number, state, len(later))
