"""Snapshots of folded subjects; the writer folds later events onto a snapshot of any age."""

from collections.abc import Iterator
from typing import Final

import apsw

from inventory_grpc.application.outcomes import State
from inventory_grpc.infrastructure.log import findings
from inventory_grpc.infrastructure.log.states_json import dump_state, load_state
from inventory_grpc.infrastructure.read_models.read_model import ReadModel
from inventory_grpc.infrastructure.sqlite.events import events_of_subject

_DDL: Final = """
CREATE TABLE subject_snapshots (
  subject  INTEGER PRIMARY KEY,
  position INTEGER NOT NULL,
  state    TEXT    NOT NULL
) STRICT
"""


def find_snapshot(connection: apsw.Connection, subject: int, upto: int) -> State | None:
    """Return the snapshot of a subject, or None if there is none at or before *upto*."""
    text = connection.execute(
        "SELECT state FROM subject_snapshots WHERE subject = ? AND position <= ?", (subject, upto)
    ).get
    return load_state(text) if text else None


def keep_snapshot(connection: apsw.Connection, subject: int, state: State) -> None:
    """Store the snapshot of a subject, in place of an earlier one."""
    connection.execute(
        "INSERT OR REPLACE INTO subject_snapshots VALUES (?, ?, ?)",
        (subject, state.position, dump_state(state)),
    )


def _check(connection: apsw.Connection) -> Iterator[str]:
    """Yield the snapshots that differ from a fold of the log."""
    for subject, position, text in connection.execute(
        "SELECT subject, position, state FROM subject_snapshots"
    ):
        events = events_of_subject(connection, subject, 0, position)
        yield from findings.of_snapshot(subject, text, events)


READ_MODEL: Final[ReadModel] = ReadModel(_DDL, check=_check)
