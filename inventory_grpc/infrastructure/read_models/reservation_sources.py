"""The sources of a list of reservations; each yields them in order, and is scanned in parts."""

from collections.abc import Sequence
from typing import Final, NamedTuple, TypeAlias

import apsw

from inventory_grpc.infrastructure.read_models.lines_of_stock import BEGUN_BY, EVENTS
from inventory_grpc.infrastructure.sqlite.events import version_at

Bindings = list[int | str]

_LINES: Final = "reservation_lines AS line"
_WITH_RESERVATION: Final = " CROSS JOIN reservations ON reservations.reservation = line.reservation"
_WALK: Final = f"{EVENTS} CROSS JOIN {BEGUN_BY}{_WITH_RESERVATION}"
_EDGE_OF_WALK: Final = (
    f"SELECT ifnull(line.reservation, event.position) FROM {EVENTS} LEFT JOIN {BEGUN_BY} "  # noqa: S608  made of constants, values are bound
    "WHERE event.stream = ? AND event.version = ?"
)


class Part(NamedTuple):
    """The part of a source that one page scans."""

    tables: str
    where: str
    bindings: Bindings
    order: str
    """The column that reads it in the order of reservations."""
    edge: int | None
    """The last reservation of the part; None if it is the rest of the source."""


class ByIndex(NamedTuple):
    """A table that an index reads in the order of reservations, and the index condition."""

    where: str
    bindings: Bindings
    table: str = "reservations"
    others: str = ""
    """The join with `reservations`, if it is another table."""

    def part(self, connection: apsw.Connection, before: int, max_scanned: int) -> Part:
        key = f"{self.table.split()[-1]}.reservation"
        where = f"{self.where} AND {key} < ?"
        bindings = [*self.bindings, before]
        edge: int | None = connection.execute(
            f"SELECT {key} FROM {self.table} WHERE {where} ORDER BY {key} DESC LIMIT 1 OFFSET ?",  # noqa: S608  as above
            (*bindings, max_scanned - 1),
        ).get
        tables = self.table + self.others
        return Part(tables, f"{where} AND {key} >= ?", [*bindings, edge or 0], key, edge)


class ByWalk(NamedTuple):
    """The lines that the events of a stock began."""

    stream: int

    def part(self, connection: apsw.Connection, before: int, max_scanned: int) -> Part:
        last = version_at(connection, self.stream, before - 1)
        first = max(1, last - max_scanned + 1)
        edge: int | None = None
        if first > 1:
            edge = connection.execute(_EDGE_OF_WALK, (self.stream, first)).get
        where = "event.stream = ? AND event.version BETWEEN ? AND ?"
        return Part(_WALK, where, [self.stream, first, last], "event.version", edge)


Source: TypeAlias = ByIndex | ByWalk


def of_stream(stream: int) -> Sequence[Source]:
    """Return the sources of the lines of a stock."""
    amended = "line.stream = ? AND line.amended IS NOT NULL"
    return [ByWalk(stream), ByIndex(amended, [stream], _LINES, _WITH_RESERVATION)]
