"""Counts and reversals by stock, from which the reversal of an event is decided.

The index on `reverses` is unique: an event that is reversed twice is refused here at the latest.
"""

from collections.abc import Iterator, Sequence
from typing import Final

from inventory_grpc.domain.event import Event
from inventory_grpc.domain.reversal import Trail
from inventory_grpc.infrastructure.codec import decode
from inventory_grpc.infrastructure.log.chain import NumberedEvent
from inventory_grpc.infrastructure.postgres.read_models.read_model import ReadModel
from inventory_grpc.infrastructure.postgres.statement import Bound, Statement, insert
from inventory_grpc.infrastructure.postgres.wire import Row, Wire
from inventory_grpc.infrastructure.rows.corrections import CORRECTING, read_standing, rows_of

_DDL: Final = """
CREATE TABLE corrections (
  stream   int8 NOT NULL,
  position int8 NOT NULL,
  reverses int8,              -- NULL for a count
  state    text COLLATE "C",  -- of a count of one state
  PRIMARY KEY (stream, position)
);
CREATE UNIQUE INDEX corrections_by_reversed ON corrections (reverses) WHERE reverses IS NOT NULL
"""

_INSERT: Final = insert(
    "corrections", {"stream": "int8", "position": "int8", "reverses": "int8", "state": "text"}
)
_SELECT: Final = Statement(
    "SELECT event, stream, (SELECT position FROM corrections WHERE reverses = $position::int8) "
    "FROM events WHERE position = $position::int8"
)
_CORRECTIONS: Final = Statement(
    "SELECT position, reverses FROM corrections "
    "WHERE stream = $stream::int8 AND position > $after::int8 AND position < $before::int8 "
    "AND (state IS NULL OR state = ANY($states::text[])) "
    "ORDER BY position DESC LIMIT $limit::int8"
)
_NO_END: Final = 2**63 - 1
_READ_TOGETHER: Final = 256
"""Corrections read by one statement: usually few are needed."""


def _project(recorded: Sequence[NumberedEvent]) -> Iterator[Bound]:
    if rows := rows_of(recorded):
        yield _INSERT.bind_rows(rows)


def find_trails(wire: Wire, positions: Sequence[int]) -> dict[int, Trail]:
    """Return the trails of the events at *positions*, in two round trips if few corrections stand.

    A position without an event has none.
    """
    found = {
        position: rows[0]
        for position, rows in zip(
            positions,
            wire.run([_SELECT.bind(position=position) for position in positions]),
            strict=True,
        )
        if rows
    }
    pages = [_Corrections(wire, stream, decode(data)) for data, stream, _ in found.values()]
    first = wire.run([page.ask(_NO_END) for page in pages]) if pages else []
    return {
        position: Trail(page.event, reversed_by or 0, read_standing(page.rows(rows)))
        for (position, (_, _, reversed_by)), page, rows in zip(
            found.items(), pages, first, strict=True
        )
    }


class _Corrections:
    """The corrections after an event, newest first; counts of other states are left out."""

    def __init__(self, wire: Wire, stream: int, event: Event) -> None:
        self._wire = wire
        self._stream = stream
        self.event = event
        self._states = [str(state) for state in event.fact.states]

    def ask(self, before: int) -> Bound:
        return _CORRECTIONS.bind(
            stream=self._stream,
            after=self.event.position,
            before=before,
            states=self._states,
            limit=_READ_TOGETHER,
        )

    def rows(self, some: Sequence[Row]) -> Iterator[Row]:
        """Yield all rows; *some* are the first page."""
        while True:
            yield from some
            if len(some) < _READ_TOGETHER:
                return
            [some] = self._wire.run([self.ask(some[-1][0])])


READ_MODEL: Final[ReadModel] = ReadModel(_DDL, _project, CORRECTING)
