"""The sources of a list of reservations; each yields them in order, and is scanned in parts."""

from collections.abc import Sequence
from typing import Final, NamedTuple, TypeAlias

import apsw

from inventory_grpc.infrastructure.read_models.lines_of_stock import BEGUN_BY, WALKED
from inventory_grpc.infrastructure.sqlite.stock_history import WALK, section

Bindings = list[int | str]

_LINES: Final = "reservation_lines AS line"
_WITH_RESERVATION: Final = " CROSS JOIN reservations ON reservations.reservation = line.reservation"
_BEGUN: Final = f"{WALKED} CROSS JOIN {BEGUN_BY}{_WITH_RESERVATION}"
_EDGE_OF_WALK: Final = (
    f"SELECT ifnull(line.reservation, event.position) FROM events AS event LEFT JOIN {BEGUN_BY} "  # noqa: S608  made of constants, values are bound
    "WHERE event.position = ?"
)


class Part(NamedTuple):
    """The part of a source that one page scans."""

    tables: str
    where: str
    bindings: Bindings
    order: str
    """The clause that reads it in the order of reservations, newest first."""
    edge: int | None
    """The last reservation of the part; None if it is the rest of the source."""
    walk: str = ""
    """The clause before the query, if a walk finds the part, which then has that order."""


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
        order = f"ORDER BY {key} DESC"
        return Part(tables, f"{where} AND {key} >= ?", [*bindings, edge or 0], order, edge)


class ByWalk(NamedTuple):
    """The lines that the events of a stock began."""

    stream: int

    def part(self, connection: apsw.Connection, before: int, max_scanned: int) -> Part:
        found = section(connection, self.stream, 1, before - 1, max_scanned, downwards=True)
        edge: int | None = None
        if found.edge is not None:
            edge = connection.execute(_EDGE_OF_WALK, (found.edge,)).get
        where = "event.position BETWEEN ?2 AND ?3"
        return Part(_BEGUN, where, [*found[:3]], "", edge, WALK)


Source: TypeAlias = ByIndex | ByWalk


def of_stream(stream: int) -> Sequence[Source]:
    """Return the sources of the lines of a stock."""
    amended = "line.stream = ? AND line.amended IS NOT NULL"
    return [ByWalk(stream), ByIndex(amended, [stream], _LINES, _WITH_RESERVATION)]
