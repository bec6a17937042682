"""The table that stores the offset of the log's clock from the time since boot.

It is created on first use: files of earlier releases do not have it, and earlier releases
ignore it. A copy of the file contains it too; on another machine the boot id differs, so it is
not used.
"""

from typing import Final

import apsw

from inventory_grpc.application.ports import KeptTime

_TABLE: Final = """
CREATE TABLE IF NOT EXISTS clock (
  one    INTEGER PRIMARY KEY CHECK (one = 1),
  boot   TEXT    NOT NULL,  -- the id of the boot
  offset INTEGER NOT NULL   -- microseconds from the time since boot to the log's clock
) STRICT
"""


def read(connection: apsw.Connection) -> KeptTime | None:
    if not _is_there(connection):
        return None
    row = connection.execute("SELECT boot, offset FROM clock").fetchone()
    return KeptTime(*row) if row else None


def write(connection: apsw.Connection, time: KeptTime) -> None:
    connection.execute(_TABLE)
    connection.execute("INSERT OR REPLACE INTO clock VALUES (1, ?, ?)", time)


def forget(connection: apsw.Connection) -> None:
    """Make the next process that writes adopt its wall clock, as after a boot."""
    if _is_there(connection):
        connection.execute("DELETE FROM clock")


def _is_there(connection: apsw.Connection) -> bool:
    found: int = connection.execute("SELECT count(*) FROM sqlite_schema WHERE name = 'clock'").get
    return found > 0
