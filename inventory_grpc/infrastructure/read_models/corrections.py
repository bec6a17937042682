"""Counts and reversals by stock, from which the reversal of an event is decided.

The index on `reverses` is unique: an event that is reversed twice is refused here at the latest.
"""

from collections.abc import Iterator, Sequence
from dataclasses import fields
from itertools import islice
from typing import Final

import apsw

from inventory_grpc.domain.event import Event, Fact
from inventory_grpc.domain.registry import FACTS
from inventory_grpc.domain.reversal import Correction, Trail, standing_counts
from inventory_grpc.domain.stock import StockAdjusted
from inventory_grpc.domain.values import UnitState
from inventory_grpc.infrastructure.codec import decode
from inventory_grpc.infrastructure.log.chain import NumberedEvent
from inventory_grpc.infrastructure.read_models.read_model import ReadModel
from inventory_grpc.infrastructure.sqlite.multirow import execute_with

STANDING_READ: Final = 4_096
"""Counts that stand, read for one reversal: more than one batch can reverse."""

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

_CORRECTING: Final = frozenset(
    fact for fact in FACTS if "reverses" in {field.name for field in fields(fact)}
)
"""The kinds of facts that may be corrections; few events have one, and the others cost little."""


def _project(connection: apsw.Connection, recorded: Sequence[NumberedEvent]) -> None:
    rows = [
        (stream, event.position, event.fact.reverses or None, _counted_state(event.fact))
        for event, stream, _ in recorded
        if type(event.fact) in _CORRECTING and (event.fact.reverses or event.fact.is_count)
    ]
    execute_with(connection, "INSERT INTO corrections {}", rows)


def _counted_state(fact: Fact) -> UnitState | None:
    return fact.state if isinstance(fact, StockAdjusted) and fact.is_count else None


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
    read: list[Correction] = []

    def rows() -> Iterator[Correction]:
        for position, reverses in connection.execute(
            "SELECT position, reverses FROM corrections WHERE stream = ? AND position > ? AND "  # noqa: S608  values are bound
            f"(state IS NULL OR state IN ({', '.join('?' * len(states))})) "
            "ORDER BY position DESC",
            (stream, event.position, *states),
        ):
            read.append(Correction(position, reverses or 0))
            yield read[-1]

    for _ in islice(standing_counts(rows()), STANDING_READ):
        pass
    return tuple(read)


READ_MODEL: Final[ReadModel] = ReadModel(_DDL, _project, _CORRECTING)
