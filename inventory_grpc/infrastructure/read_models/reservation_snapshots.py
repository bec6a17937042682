"""Folded reservations, from which the writer folds on; an older one is as good."""

from collections.abc import Iterator
from typing import Final

import apsw

from inventory_grpc.domain.reservation import Reservation
from inventory_grpc.infrastructure.codec import UNREADABLE
from inventory_grpc.infrastructure.log import states_json
from inventory_grpc.infrastructure.read_models.read_model import ReadModel
from inventory_grpc.infrastructure.sqlite.events import events_of_subject

_DDL: Final = """
CREATE TABLE reservation_snapshots (
  reservation INTEGER PRIMARY KEY,
  position    INTEGER NOT NULL,
  state       TEXT    NOT NULL
) STRICT
"""


def _check(connection: apsw.Connection) -> Iterator[str]:
    """Yield the snapshots that are not what folding the log gives."""
    for number, position, state in connection.execute(
        "SELECT reservation, position, state FROM reservation_snapshots"
    ):
        if state != _fold(connection, number, position):
            yield f"reservation_snapshots: {number} is not what the log says"


def _fold(connection: apsw.Connection, number: int, position: int) -> str:
    reservation: Reservation | None = None
    try:
        for event in events_of_subject(connection, number, 0, position):
            reservation = (reservation or Reservation.begin(event)).evolve([event])
    except UNREADABLE:
        return ""
    return states_json.dump_reservation(reservation) if reservation else ""


READ_MODEL: Final[ReadModel] = ReadModel(_DDL, check=_check)
