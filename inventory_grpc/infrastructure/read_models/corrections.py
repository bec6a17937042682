"""Counts and reversals by stock, from which the reversal of an event is decided.

The index on `reverses` is unique: an event that is reversed twice is refused here at the latest.
"""

from collections.abc import Sequence
from typing import Final

import apsw

from inventory_grpc.domain.event import Event
from inventory_grpc.domain.reversal import Correction, Trail
from inventory_grpc.infrastructure.codec import decode
from inventory_grpc.infrastructure.log.chain import NumberedEvent
from inventory_grpc.infrastructure.read_models.read_model import ReadModel
from inventory_grpc.infrastructure.rows.corrections import CORRECTING, read_standing, rows_of
from inventory_grpc.infrastructure.sqlite.multirow import execute_with

_DDL: Final = """
CREATE TABLE corrections (
  stream   INTEGER NOT NULL,
  position INTEGER NOT NULL,
  reverses INTEGER,  -- NULL for a count
  state    TEXT,     -- of a count of one state
  PRIMARY KEY (stream, position)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX corrections_by_reversed ON corrections (reverses) WHERE reverses IS NOT NULL
"""


def _project(connection: apsw.Connection, recorded: Sequence[NumberedEvent]) -> None:
    execute_with(connection, "INSERT INTO corrections {}", rows_of(recorded))


def find_trail(connection: apsw.Connection, position: int) -> Trail | None:
    """Return the trail of the event at *position*; None if there is no such event."""
    row = connection.execute(
        "SELECT event, stream FROM events WHERE position = ?", (position,)
    ).fetchone()
    if row is None:
        return None
    data, stream = row
    reversed_by: int | None = connection.execute(
        "SELECT position FROM corrections WHERE reverses = ?", (position,)
    ).get
    event = decode(data)
    return Trail(event, reversed_by or 0, _corrections(connection, stream, event))


def _corrections(connection: apsw.Connection, stream: int, event: Event) -> tuple[Correction, ...]:
    """Return the corrections after *event*, newest first, until enough counts stand.

    Counts of other states are left out.
    """
    states = [str(state) for state in event.fact.states]
    rows = connection.execute(
        "SELECT position, reverses FROM corrections WHERE stream = ? AND position > ? AND "  # noqa: S608  values are bound
        f"(state IS NULL OR state IN ({', '.join('?' * len(states))})) "
        "ORDER BY position DESC",
        (stream, event.position, *states),
    )
    return read_standing(rows)


READ_MODEL: Final[ReadModel] = ReadModel(_DDL, _project, CORRECTING)
