"""Folds the states of streams that no read model has from their events."""

from collections.abc import Iterator, Sequence
from typing import Any

from inventory_grpc.application.outcomes import State
from inventory_grpc.application.ports import Reading
from inventory_grpc.domain.book import apply_event
from inventory_grpc.domain.event import Event, Key
from inventory_grpc.domain.registry import STREAMS, WHOLE
from inventory_grpc.infrastructure.postgres import events as log
from inventory_grpc.infrastructure.postgres.wire import Wire


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


def _fold(wire: Wire, key: Key, stream: int, upto: int) -> State:
    kind: Any = STREAMS[type(key)]
    state: Any = kind(key)
    if type(key) in WHOLE:
        state = apply_event(state, log.event_of(wire, stream, 1))
        if upto > 1:
            last = log.event_of(wire, stream, upto)
            state = apply_event(state._replace(version=upto - 1), last)
        return state
    for event in log.events_of_stream(wire, stream, upto):
        state = apply_event(state, event)
    return state
