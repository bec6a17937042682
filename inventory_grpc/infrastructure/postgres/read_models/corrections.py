"""Counts and reversals by stock, from which the reversal of an event is decided.

The index on `reverses` is unique: an event that is reversed twice is refused here at the latest.
"""

from collections.abc import Iterator, Sequence
from typing import Final

from inventory_grpc.domain.event import Event
from inventory_grpc.domain.reversal import Correction, Trail
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
_READ_TOGETHER: Final = 256
"""Corrections read by one statement: usually few are needed."""


def _project(recorded: Sequence[NumberedEvent]) -> Iterator[Bound]:
    if rows := rows_of(recorded):
        yield _INSERT.bind_rows(rows)


def find_trail(wire: Wire, position: int) -> Trail | None:
    """Return the trail of the event at *position*; None if there is no such event."""
    rows = wire.query(_SELECT, position=position)
    if not rows:
        return None
    [(data, stream, reversed_by)] = rows
    event = decode(data)
    return Trail(event, reversed_by or 0, _corrections(wire, stream, event))


def _corrections(wire: Wire, stream: int, event: Event) -> tuple[Correction, ...]:
    """Return the corrections after *event*, newest first, until enough counts stand.

    Counts of other states are left out.
    """
    states = [str(state) for state in event.fact.states]

    def rows(before: int = 2**63 - 1) -> Iterator[Row]:
        while True:
            some = wire.query(
                _CORRECTIONS,
                stream=stream,
                after=event.position,
                before=before,
                states=states,
                limit=_READ_TOGETHER,
            )
            yield from some
            if len(some) < _READ_TOGETHER:
                return
            before = some[-1][0]

    return read_standing(rows())


READ_MODEL: Final[ReadModel] = ReadModel(_DDL, _project, CORRECTING)
