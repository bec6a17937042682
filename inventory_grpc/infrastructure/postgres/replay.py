"""Reads the log in pages of whole commands, and fills read models from them.

Each page is read in a statement of its own. So no read holds a snapshot for long, which would keep
PostgreSQL from cleaning up behind the writers, and the memory of a page is bounded.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Final

from inventory_grpc.domain.levels import Levels
from inventory_grpc.infrastructure.log.chain import NumberedEvent
from inventory_grpc.infrastructure.log.replay import COLUMNS, Row, whole_commands
from inventory_grpc.infrastructure.postgres import read_models
from inventory_grpc.infrastructure.postgres.statement import Statement
from inventory_grpc.infrastructure.postgres.wire import Wire
from inventory_grpc.infrastructure.rows.stocks import read_levels

PAGE: Final = 2_000
"""Events read at a time: more than a command has, and within `ANSWER_SECONDS` on a slow disk."""

_FOLLOWS: Final = (
    "version = 1 OR EXISTS (SELECT 1 FROM events AS before WHERE before.stream = events.stream "
    "AND before.version = events.version - 1 AND before.position < events.position)"
)
_PAGE: Final = Statement(
    f"SELECT {COLUMNS.format(follows=_FOLLOWS)} "
    "WHERE position > $after::int8 AND position <= $upto::int8 ORDER BY position"
)

_STOCKS: Final = Statement(
    "SELECT stream, version, on_hand, reserved, particulars FROM stocks "
    "WHERE stream = ANY($streams::int8[])"
)


def pages(wire: Wire, after: int, upto: int) -> Iterator[Sequence[Row]]:
    """Yield the rows of the log between two positions in order, whole commands at a time."""
    while after < upto:
        end = min(after + PAGE, upto)
        if page := whole_commands(wire.query(_PAGE, after=after, upto=end), upto):
            yield page
            end = page[-1][0]
        after = end


class PostgresTarget:
    """A `Target`: the tables that are first in the search path of a connection."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def stocks(self, streams: Collection[int]) -> Mapping[int, tuple[Levels, int]]:
        rows = self._wire.query(_STOCKS, streams=[*streams])
        return {stream: (read_levels(*levels), version) for stream, version, *levels in rows}

    def project(self, recorded: Sequence[NumberedEvent]) -> None:
        if statements := list(read_models.project(recorded)):
            self._wire.run(statements)
