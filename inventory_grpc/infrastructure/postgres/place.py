"""The place of a log: the PostgreSQL that has it; at another one, commits may be lost.

A promoted standby has a new timeline, and so has a server that was restored to an earlier time. A
restored dump has a new table, usually of another system. The last place is kept in the log itself,
so a server that starts anew knows of the change as well.
"""

import logging
from collections.abc import Sequence
from enum import Enum
from typing import Final, NamedTuple

from inventory_grpc.application.ports import Fault, StorageError
from inventory_grpc.infrastructure.postgres import log_names
from inventory_grpc.infrastructure.postgres.events import NOW
from inventory_grpc.infrastructure.postgres.statement import Bound, Statement
from inventory_grpc.infrastructure.postgres.wire import Failed, Wire

_log = logging.getLogger(__name__)

_SYSTEM: Final = Statement("SELECT system_identifier FROM pg_control_system()")
_TIMELINE: Final = Statement("SELECT pg_walfile_name(pg_current_wal_lsn())")
_RELATION: Final = Statement(
    "SELECT oid::text || '/' || 'log'::regclass::oid::text FROM pg_database "
    "WHERE datname = current_database()"
)
_TIMELINE_DIGITS: Final = 8
"""The name of a file of the WAL begins with the timeline, in hexadecimal."""

_NOT_TOLD: Final = frozenset({"42501", "42883", "0A000"})
"""The SQLSTATEs for a missing right, function or feature."""

_KEPT: Final = Statement("SELECT system, timeline, relation FROM log_place")
_KEEP: Final = Statement(
    "INSERT INTO log_place VALUES (1, $system::int8, $timeline::int8, $relation::text, "
    f"{NOW}) ON CONFLICT (one) DO UPDATE SET system = excluded.system, "
    "timeline = excluded.timeline, relation = excluded.relation, note_time = excluded.note_time"
)

ADOPT: Final = "stop the old primary for good, then run `inventory-grpc adopt`"
GRANT: Final = (
    "grant EXECUTE ON FUNCTION pg_control_system(), pg_current_wal_lsn(), pg_walfile_name(pg_lsn), "
    "or set INVENTORY_FAILOVER=trusted if no failover there loses commits"
)


class Move(Enum):
    """The difference between two places; the values are for the operator."""

    NONE = ""
    NOT_TOLD = "PostgreSQL does not tell its role of failovers"
    PROMOTED = "a standby was promoted, or the server was restored to an earlier time"
    RESTORED = "the log was restored from a dump, or was moved to another server"


class Place(NamedTuple):
    """A place; None is a value that PostgreSQL does not tell the role."""

    system: int | None
    timeline: int | None
    relation: str

    def move_from(self, former: "Place") -> Move:
        """Return the kind of move from *former* to this place."""
        is_other_system = self.system != former.system and None not in {self.system, former.system}
        if is_other_system or self.relation != former.relation:
            return Move.RESTORED
        if self.system is None or self.timeline is None:
            return Move.NOT_TOLD
        return Move.NONE if self == former else Move.PROMOTED

    def __str__(self) -> str:
        known = ("unknown" if one is None else one for one in (self.system, self.timeline))
        return "system {}, timeline {}, table {}".format(*known, self.relation)


def place_of(wire: Wire) -> Place:
    """Return the place that a connection leads to.

    It stays while the connection lasts. A transaction may not be open, because a missing right
    would end it.
    """
    timeline = _told(wire, _TIMELINE)
    return Place(
        int(system) if (system := _told(wire, _SYSTEM)) is not None else None,
        int(timeline[:_TIMELINE_DIGITS], 16) if timeline is not None else None,
        wire.value(_RELATION),
    )


def _told(wire: Wire, statement: Statement) -> str | None:
    """Return the value of a function, unless the role may not call it."""
    try:
        value = wire.value(statement)
    except Failed as error:
        if error.state not in _NOT_TOLD:
            raise
        return None
    return None if value is None else str(value)


def kept_place(wire: Wire) -> Place | None:
    """Return the place where the log was last opened for writing; None if it never was."""
    rows = wire.query(_KEPT)
    return Place(*rows[0]) if rows else None


def keep(place: Place) -> Sequence[Bound]:
    """Return the statements that keep *place* in the log, and its first name if it has none."""
    return [log_names.begin(), _KEEP.bind(**place._asdict())]


def refusal(former: Place | None, place: Place, *, is_trusted: bool) -> StorageError | None:
    """Return the reason why nothing may be written at *place*; None if writing may go on there.

    Where failovers are trusted to lose nothing, a new timeline is as good as the old one; a dump
    never is. Without a former place, the log is opened for the first time.
    """
    move = place.move_from(former or place)
    if move is Move.NONE or (is_trusted and move is not Move.RESTORED):
        return None
    if move is Move.NOT_TOLD:
        return StorageError(Fault.FAILED_OVER, why=move.value, detail=GRANT)
    return StorageError(
        Fault.FAILED_OVER,
        why=f"{move.value}; {ADOPT}",
        detail=f"it was at {former}, and is at {place}",
    )


def is_as_kept(wire: Wire, place: Place, *, is_trusted: bool) -> bool:
    """Return whether writing may go on at *place*, and nothing has to be kept for it."""
    kept = kept_place(wire)
    return place == kept and refusal(kept, place, is_trusted=is_trusted) is None


def settle(wire: Wire, place: Place, *, is_trusted: bool) -> Sequence[Bound]:
    """Return the statements that keep a new *place*, under the lock of the log.

    Raises:
        StorageError: nothing may be written there.
    """
    former = kept_place(wire)
    if (error := refusal(former, place, is_trusted=is_trusted)) is not None:
        raise error
    if place == former:
        return []
    if former is not None:
        _log.warning("the log was at %s, and goes on at %s", former, place)
    return keep(place)
