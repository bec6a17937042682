"""Reads the log in pages of whole commands, each in a statement of its own.

So no read holds a snapshot for long, which would keep PostgreSQL from cleaning up behind the
writers, and the memory of a page is bounded.
"""

from collections.abc import Iterator, Sequence
from typing import Final

from inventory_grpc.infrastructure.log.replay import COLUMNS, Row, whole_commands
from inventory_grpc.infrastructure.postgres.statement import Statement
from inventory_grpc.infrastructure.postgres.wire import Wire

PAGE: Final = 2_000
"""Events read at a time: more than a command has, and within `ANSWER_SECONDS` on a slow disk."""

_PAGE: Final = Statement(
    f"SELECT {COLUMNS} WHERE position > $after::int8 AND position <= $upto::int8 ORDER BY position"
)


def pages(wire: Wire, after: int, upto: int) -> Iterator[Sequence[Row]]:
    """Yield the rows of the log between two positions in order, whole commands at a time."""
    while after < upto:
        end = min(after + PAGE, upto)
        if page := whole_commands(wire.query(_PAGE, after=after, upto=end), upto):
            yield page
            end = page[-1][0]
        after = end
