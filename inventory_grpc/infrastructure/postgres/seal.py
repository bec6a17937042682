"""The seal of a log that has moved: triggers, with which PostgreSQL itself refuses every write.

So it holds for each instance that writes, running or not and of any release, and costs nothing
before. Reads go on, and so do new versions of the read models.
"""

from typing import Any, Final

import psycopg
from psycopg import sql

SEALED: Final = "MOVED"
"""The SQLSTATE of the refusal; no state of PostgreSQL begins with these letters."""

_TABLE: Final = b"""
CREATE TABLE seal (
  one   int2 PRIMARY KEY CHECK (one = 1),
  place text NOT NULL  -- where the log goes on
);
CREATE FUNCTION refuse_writes() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION USING ERRCODE = 'MOVED', MESSAGE = TG_ARGV[0];
END
$$
"""

_REFUSED: Final = {
    "events": "INSERT OR UPDATE OR DELETE OR TRUNCATE",
    "requests": "INSERT OR UPDATE OR DELETE OR TRUNCATE",
    "unsettled": "INSERT OR UPDATE OR DELETE OR TRUNCATE",
    "log": "UPDATE OF probe",
}
"""All that a writer does to the log; the probe is how it finds out whether writing works."""


def sealed(connection: psycopg.Connection[Any]) -> str | None:
    """Return the place where the log goes on, if it is sealed here."""
    found = connection.execute(
        "SELECT 1 FROM pg_tables WHERE schemaname = current_schema() AND tablename = 'seal'"
    ).fetchone()
    row = connection.execute("SELECT place FROM seal").fetchone() if found else None
    return str(row[0]) if row else None


def seal(connection: psycopg.Connection[Any], place: str) -> None:
    """Refuse all writes from now on, in words that name the *place* where the log goes on.

    It runs in a transaction that has the lock of the log. A log stays sealed for the place that
    was named first.
    """
    if sealed(connection) is not None:
        return
    connection.execute(_TABLE)
    connection.execute("INSERT INTO seal VALUES (1, %s)", (place,))
    for table, changes in _REFUSED.items():
        connection.execute(
            sql.SQL(
                "CREATE TRIGGER sealed BEFORE {} ON {} EXECUTE FUNCTION refuse_writes({})"
            ).format(sql.SQL(changes), sql.Identifier(table), sql.Literal(f"it goes on at {place}"))
        )
