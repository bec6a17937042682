"""The seal of a log that has moved: triggers, with which SQLite itself refuses every write.

So it holds for each process that writes, running or not and of any release, and costs nothing
before. Reads go on, and so do new versions of the read models.
"""

from typing import Final

import apsw

from inventory_grpc.application.ports import Fault, StorageError

_TABLE: Final = """
CREATE TABLE seal (
  one   INTEGER PRIMARY KEY CHECK (one = 1),
  place TEXT NOT NULL  -- where the log goes on
) STRICT
"""

_REFUSED: Final = (
    "INSERT ON events",
    "INSERT ON requests",
    "DELETE ON requests",
    "INSERT ON unsettled",
    "UPDATE ON unsettled",
    "DELETE ON unsettled",
    "UPDATE OF probe ON log",
)
"""All that a writer does to the log; the probe is how it finds out whether writing works."""


def sealed(connection: apsw.Connection) -> str | None:
    """Return the place where the log goes on, if it is sealed here."""
    found: int = connection.execute("SELECT count(*) FROM sqlite_schema WHERE name = 'seal'").get
    place: str | None = connection.execute("SELECT place FROM seal").get if found else None
    return place


def refusal(connection: apsw.Connection) -> StorageError | None:
    """Return the reason why nothing may be written, if the log is sealed."""
    place = sealed(connection)
    return None if place is None else StorageError(Fault.SEALED, why=words(place))


def words(place: str) -> str:
    return f"it goes on at {place}"


def seal(connection: apsw.Connection, place: str) -> None:
    """Refuse all writes from now on, in words that name the *place* where the log goes on.

    It runs in a transaction. A log stays sealed for the place that was named first.
    """
    if sealed(connection) is not None:
        return
    connection.execute("UPDATE log SET probe = probe + 1")  # names the WAL, see `log_row.py`
    connection.execute(_TABLE)
    connection.execute("INSERT INTO seal VALUES (1, ?)", (place,))
    message = words(place).replace("'", "''")
    for number, change in enumerate(_REFUSED):
        connection.execute(
            f"CREATE TRIGGER sealed_{number} BEFORE {change} "
            f"BEGIN SELECT RAISE(ABORT, '{message}'); END"
        )
