"""Snapshots of folded subjects; the writer folds later events onto a snapshot of any age."""

from typing import Final

from inventory_grpc.application.outcomes import State
from inventory_grpc.infrastructure.log.states_json import dump_state
from inventory_grpc.infrastructure.postgres.read_models.read_model import ReadModel
from inventory_grpc.infrastructure.postgres.statement import Bound, Statement

_DDL: Final = """
CREATE TABLE subject_snapshots (
  subject  int8 PRIMARY KEY,
  position int8 NOT NULL,
  state    text NOT NULL
)
"""

_KEEP: Final = Statement(
    "INSERT INTO subject_snapshots VALUES ($subject::int8, $position::int8, $state::text) "
    "ON CONFLICT (subject) DO UPDATE SET position = excluded.position, state = excluded.state"
)


def keep_snapshot(subject: int, state: State) -> Bound:
    """Return the statement that stores the snapshot of a subject, in place of an earlier one."""
    return _KEEP.bind(subject=subject, position=state.position, state=dump_state(state))


READ_MODEL: Final[ReadModel] = ReadModel(_DDL)
