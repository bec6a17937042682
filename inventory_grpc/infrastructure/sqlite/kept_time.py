"""The table that keeps how the log's time follows from the clock of the machine.

It is made when it is first needed: files of earlier releases do not have it, and earlier
releases take no notice of it. A copy of the file has it too; on another machine, whose boot has
another id, it means nothing.
"""

from typing import Final

import apsw

from inventory_grpc.application.ports import KeptTime

_TABLE: Final = """
CREATE TABLE IF NOT EXISTS clock (
  one    INTEGER PRIMARY KEY CHECK (one = 1),
  boot   TEXT    NOT NULL,  -- the id of a start of the machine
  offset INTEGER NOT NULL   -- microseconds from the time since then to the log's time
) STRICT
"""


def read(connection: apsw.Connection) -> KeptTime | None:
    """Return what is kept, if anything is."""
    if not _is_there(connection):
        return None
    row = connection.execute("SELECT boot, offset FROM clock").fetchone()
    return KeptTime(*row) if row else None


def write(connection: apsw.Connection, time: KeptTime) -> None:
    """Keep *time* in the place of what is kept."""
    connection.execute(_TABLE)
    connection.execute("INSERT OR REPLACE INTO clock VALUES (1, ?, ?)", time)


def forget(connection: apsw.Connection) -> None:
    """Have the next process that writes adopt its wall clock, as after a boot."""
    if _is_there(connection):
        connection.execute("DELETE FROM clock")


def _is_there(connection: apsw.Connection) -> bool:
    found: int = connection.execute("SELECT count(*) FROM sqlite_schema WHERE name = 'clock'").get
    return found > 0
