"""The sources of a list of reservations; each yields them in order, and is scanned in parts."""

from collections.abc import Sequence
from typing import Final, NamedTuple, TypeAlias

from inventory_grpc.infrastructure.postgres.events import version_at
from inventory_grpc.infrastructure.postgres.read_models.lines_of_stock import BEGUN_BY
from inventory_grpc.infrastructure.postgres.wire import Wire

Values = dict[str, object]

_LINES: Final = "reservation_lines AS line"
_WITH_RESERVATION: Final = " JOIN reservations ON reservations.reservation = line.reservation"
_EDGE_OF_WALK: Final = (
    "SELECT coalesce(line.reservation, event.position) "
    f"FROM events AS event LEFT JOIN {BEGUN_BY} "
    "WHERE event.stream = $stream::int8 AND event.version = $version::int8"
)


class Part(NamedTuple):
    """The part of a source that one page scans."""

    tables: str
    where: str
    values: Values
    order: str
    """The column that reads it in the order of reservations."""
    edge: int | None
    """The last reservation of the part; None if it is the rest of the source."""


class ByIndex(NamedTuple):
    """A table that an index reads in the order of reservations, and the index condition."""

    where: str
    values: Values
    table: str = "reservations"
    others: str = ""
    """The join with `reservations`, if it is another table."""

    def part(self, wire: Wire, before: int, max_scanned: int) -> Part:
        key = f"{self.table.split()[-1]}.reservation"
        where = f"{self.where} AND {key} < $before::int8"
        values = self.values | {"before": before}
        edge: int | None = wire.value(
            f"SELECT {key} FROM {self.table} WHERE {where} "
            f"ORDER BY {key} DESC LIMIT 1 OFFSET $scanned::int8",
            **values,
            scanned=max_scanned - 1,
        )
        values["edge"] = edge or 0
        tables = self.table + self.others
        return Part(tables, f"{where} AND {key} >= $edge::int8", values, key, edge)


class ByWalk(NamedTuple):
    """The lines that the events of a stock began."""

    stream: int

    def part(self, wire: Wire, before: int, max_scanned: int) -> Part:
        last = version_at(wire, self.stream, before - 1)
        first = max(1, last - max_scanned + 1)
        edge: int | None = None
        if first > 1:
            edge = wire.value(_EDGE_OF_WALK, stream=self.stream, version=first)
        return Part(
            f"events AS event JOIN {BEGUN_BY}{_WITH_RESERVATION}",
            "event.stream = $stream::int8 "
            "AND event.version BETWEEN $first_version::int8 AND $last_version::int8",
            {"stream": self.stream, "first_version": first, "last_version": last},
            "event.version",
            edge,
        )


Source: TypeAlias = ByIndex | ByWalk


def of_stream(stream: int) -> Sequence[Source]:
    """Return the sources of the lines of a stock."""
    amended = "line.stream = $stream::int8 AND line.amended IS NOT NULL"
    return [ByWalk(stream), ByIndex(amended, {"stream": stream}, _LINES, _WITH_RESERVATION)]
