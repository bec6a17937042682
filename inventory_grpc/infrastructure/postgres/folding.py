"""Folds the states of streams that no read model has from their events."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

from inventory_grpc.application.outcomes import State
from inventory_grpc.application.ports import Reading
from inventory_grpc.domain.book import apply_event
from inventory_grpc.domain.event import Event, Key
from inventory_grpc.domain.registry import STREAMS, WHOLE
from inventory_grpc.infrastructure.codec import decode
from inventory_grpc.infrastructure.postgres import events as log
from inventory_grpc.infrastructure.postgres.statement import Statement
from inventory_grpc.infrastructure.postgres.wanted import WANTED, wanted
from inventory_grpc.infrastructure.postgres.wire import Wire

_FIRST: Final = Statement(
    f"SELECT place, event FROM {WANTED} JOIN streams USING (kind, name) "
    "JOIN events ON events.stream = streams.stream AND events.version = 1"
)


def find_folded(wire: Wire, keys: Sequence[Key]) -> Iterator[tuple[Key, int, State]]:
    """Yield the *keys* that have a history, each with its stream number and newest state."""
    for key in keys:
        if (stream := log.find_stream(wire, key)) is not None:
            version = log.version_at(wire, stream, log.NO_END)
            yield key, stream, _fold(wire, key, stream, version)


def newest(wire: Wire, key: Key) -> Reading[State | None]:
    """Return the newest state of a stream, and the head at the same time."""
    with wire.one_state():
        head = log.read_head(wire)
        return Reading(state_at(wire, key, head), head)


def state_at(wire: Wire, key: Key, position: int) -> State | None:
    """Return the state of a stream right after *position*; None if it had no history."""
    stream = log.find_stream(wire, key)
    version = 0 if stream is None else log.version_at(wire, stream, position)
    if stream is None or not version:
        return None
    return state_after(wire, log.event_of(wire, stream, version))


def state_after(wire: Wire, event: Event) -> State:
    """Return the state of a stream right after *event*; an event with levels suffices for it."""
    kind: Any = STREAMS[type(event.key)]
    if event.after is not None:
        return kind.at(event)
    stream = log.find_stream(wire, event.key)
    assert stream is not None, f"{event.key} has no history"
    return _fold(wire, event.key, stream, event.version)


def states_after(wire: Wire, events: Sequence[Event]) -> Sequence[State]:
    """Return the state of the stream of each event right after it.

    Of a fact that has all of the state, only the first event of its stream is missing; these are
    read together.
    """
    keys = [event.key for event in events if event.after is None and type(event.key) in WHOLE]
    rows = wire.query(_FIRST, **wanted(keys)) if keys else []
    first = {keys[place - 1]: decode(data) for place, data in rows}
    return [
        _continued(first[event.key], event) if event.key in first else state_after(wire, event)
        for event in events
    ]


def _continued(first: Event, event: Event) -> State:
    """Return the state after a fact that has all of it, but when the stream began."""
    kind: Any = STREAMS[type(event.key)]
    state: Any = apply_event(kind(event.key), first)
    if event.version > 1:
        state = apply_event(state._replace(version=event.version - 1), event)
    return state


def _fold(wire: Wire, key: Key, stream: int, upto: int) -> State:
    kind: Any = STREAMS[type(key)]
    if type(key) in WHOLE:
        return _continued(log.event_of(wire, stream, 1), log.event_of(wire, stream, upto))
    state: Any = kind(key)
    for event in log.events_of_stream(wire, stream, upto):
        state = apply_event(state, event)
    return state
