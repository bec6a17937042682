"""The names of a log: each is its id from one position up to the next name.

A log gets another name when it may have lost its last events. Positions up to the end of a former
name mean the same as ever; those beyond may have been lost with other events.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Final

from inventory_grpc.infrastructure.codec import log_id_of
from inventory_grpc.infrastructure.log.names import LogName
from inventory_grpc.infrastructure.postgres.events import EXISTS, NOW, read_head
from inventory_grpc.infrastructure.postgres.statement import Bound, Statement, insert
from inventory_grpc.infrastructure.postgres.wire import Wire

_NAMES: Final = Statement(
    "SELECT log_id, after_position, create_time, why FROM log_names ORDER BY number"
)
_END: Final = Statement(
    "SELECT min(later.after_position) FROM log_names AS former "
    "JOIN log_names AS later ON later.number > former.number WHERE former.log_id = $log_id::text"
)
_BEGIN: Final = Statement(
    "INSERT INTO log_names SELECT 1, log_id, 0, create_time, 'created' FROM log "
    "WHERE NOT EXISTS (SELECT 1 FROM log_names)"
)
_ADD: Final = Statement(
    "INSERT INTO log_names SELECT coalesce(max(number), 0) + 1, $log_id::text, "
    f"(SELECT coalesce(max(position), 0) FROM events), {NOW}, $why::text FROM log_names"
)
_RENAME: Final = Statement("UPDATE log SET log_id = $log_id::text")
_INSERT: Final = insert(
    "log_names",
    {
        "number": "int8",
        "log_id": "text",
        "after_position": "int8",
        "create_time": "int8",
        "why": "text",
    },
)
_EVENTS: Final = Statement(
    "SELECT position, event FROM events WHERE position = ANY($positions::int8[])"
)


def begin() -> Bound:
    """Return the statement that keeps the first name, unless there are names."""
    return _BEGIN.bind()


def add(log_id: str, why: str) -> Sequence[Bound]:
    """Return the statements that name the log anew from its end on, under its lock."""
    return [begin(), _ADD.bind(log_id=log_id, why=why), _RENAME.bind(log_id=log_id)]


def insert_names(names: Sequence[LogName]) -> Bound:
    """Return the statement that keeps the names of a log that is copied."""
    return _INSERT.bind_rows([(number, *name) for number, name in enumerate(names, 1)])


def are_kept(wire: Wire) -> bool:
    """Return whether the log has the tables of the names and the place.

    An older one has not, and can be read; `migrate` makes them before it is served.
    """
    return bool(wire.value(EXISTS, table="log_names"))


def names_of(wire: Wire) -> Sequence[LogName]:
    """Return the names of the log, oldest first; none if they were never kept."""
    return [LogName(*row) for row in wire.query(_NAMES)] if are_kept(wire) else []


def end_of(wire: Wire, log_id: str) -> int | None:
    """Return the last position under a former name; None if the log had no such name."""
    end: int | None = wire.value(_END, log_id=log_id) if are_kept(wire) else None
    return end


def differences(wire: Wire, log_id: str) -> Iterator[str]:
    """Yield the names that do not fit the log, whose current name is *log_id*."""
    names = names_of(wire)
    if names and names[-1].log_id != log_id:
        yield f"log_names: the last name is {names[-1].log_id}, and that of the log is {log_id}"
    for before, name in pairwise(names):
        if name.after_position < before.after_position:
            yield f"log_names: {name.log_id} begins before {before.log_id}"
    head = read_head(wire)
    for name in names:
        if name.after_position > head:
            yield f"log_names: {name.log_id} begins after the end of the log"
    firsts = {name.after_position + 1: name.log_id for name in names}  # the last of each position
    positions = {position - one for position in firsts for one in (0, 1)} - {0}
    ids = {at: log_id_of(event) for at, event in wire.query(_EVENTS, positions=sorted(positions))}
    for position, expected in firsts.items():
        # the first name of an unsealed copy has events of another log
        if position > 1 and ids.get(position, expected) != expected:
            yield f"log_names: event {position} is not the first of {expected}"
        if ids.get(position - 1) == expected:
            yield f"log_names: event {position - 1} is of {expected}, which begins after it"
