"""Rows of stores of the catalogue."""

from collections.abc import Sequence
from typing import Any

from orjson import dumps, loads

from inventory_grpc.domain.store import Store, StoreChanged, StoreKey, StoreKind
from inventory_grpc.domain.values import EntryState, Instant, StoreId
from inventory_grpc.infrastructure.log.chain import NumberedEvent

Row = tuple[Any, ...]


def rows_of(recorded: Sequence[NumberedEvent]) -> list[Row]:
    """Return the rows of the stores that *recorded* changes, after the last change of each."""
    rows: dict[int, Row] = {}
    create_times: dict[int, Instant] = {}  # of new stores: an update leaves them as they are
    for event, stream, _ in recorded:
        fact = event.fact
        if type(fact) is StoreChanged:
            create_time = create_times.setdefault(stream, event.record_time)
            content = fact.store_id, fact.name, int(fact.kind), dumps(fact.groups).decode()
            times = create_time, event.record_time
            rows[stream] = (stream, *content, event.version, *times, int(fact.state))
    return [*rows.values()]


def store_of(row: Sequence[Any]) -> Store:
    """Return the store in a row, without its stream number."""
    store_id, name, kind, groups, version, create_time, update_time, state = row
    return Store(
        StoreKey(StoreId(store_id)),
        name,
        StoreKind(kind),
        tuple(loads(groups)),
        version,
        Instant(create_time),
        Instant(update_time),
        EntryState(state),
    )
