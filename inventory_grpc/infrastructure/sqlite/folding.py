"""Folds the states of streams that no read model has from their events."""

from collections.abc import Iterator, Sequence
from typing import Any

import apsw

from inventory_grpc.application.outcomes import State
from inventory_grpc.application.ports import Reading
from inventory_grpc.domain.book import apply_event
from inventory_grpc.domain.event import Event, Key
from inventory_grpc.domain.registry import STREAMS, WHOLE
from inventory_grpc.domain.values import StockId
from inventory_grpc.infrastructure.sqlite import events as log
from inventory_grpc.infrastructure.sqlite.connection import one_state
from inventory_grpc.infrastructure.sqlite.stock_history import last_of_stock


def find_folded(
    connection: apsw.Connection, keys: Sequence[Key]
) -> Iterator[tuple[Key, int, State]]:
    """Yield the *keys* that have a history, each with its stream number and newest state."""
    for key in keys:
        if (stream := log.find_stream(connection, key)) is not None:
            version = log.version_at(connection, stream, log.read_head(connection))
            yield key, stream, _fold(connection, key, stream, version)


def newest(connection: apsw.Connection, key: Key) -> Reading[State | None]:
    """Return the newest state of a stream, and the head at the same time."""
    with one_state(connection):
        head = log.read_head(connection)
        return Reading(state_at(connection, key, head), head)


def state_at(connection: apsw.Connection, key: Key, position: int) -> State | None:
    """Return the state of a stream right after *position*; None if it had no history."""
    stream = log.find_stream(connection, key)
    last = None if stream is None else _last(connection, key, stream, position)
    return None if last is None else state_after(connection, log.event_at(connection, last))


def _last(connection: apsw.Connection, key: Key, stream: int, upto: int) -> int | None:
    """Return the position of the last event of a stream up to a position."""
    if isinstance(key, StockId):
        return last_of_stock(connection, stream, upto)
    version = log.version_at(connection, stream, upto)
    return log.position_of(connection, stream, version) if version else None


def state_after(connection: apsw.Connection, event: Event) -> State:
    """Return the state of a stream right after *event*; an event with levels suffices for it."""
    kind: Any = STREAMS[type(event.key)]
    if event.after is not None:
        return kind.at(event)
    stream = log.find_stream(connection, event.key)
    assert stream is not None, f"{event.key} has no history"
    return _fold(connection, event.key, stream, event.version)


def _fold(connection: apsw.Connection, key: Key, stream: int, upto: int) -> State:
    kind: Any = STREAMS[type(key)]
    state: Any = kind(key)
    if type(key) in WHOLE:
        state = apply_event(state, log.event_of(connection, stream, 1))
        if upto > 1:
            last = log.event_of(connection, stream, upto)
            state = apply_event(state._replace(version=upto - 1), last)
        return state
    for event in log.events_of_stream(connection, stream, upto):
        state = apply_event(state, event)
    return state
