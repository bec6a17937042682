"""The seal of a log that has moved: triggers, with which PostgreSQL itself refuses every write.

So it holds for each instance that writes, running or not and of any release, and costs nothing
before. Reads go on, and so do new versions of the read models.
"""

from typing import Any, Final

import psycopg
from psycopg import sql

from inventory_grpc.application.ports import Fault, StorageError
from inventory_grpc.infrastructure.postgres.events import EXISTS
from inventory_grpc.infrastructure.postgres.statement import Statement
from inventory_grpc.infrastructure.postgres.wire import Wire

SEALED: Final = "MOVED"
"""The SQLSTATE of the refusal; no state of PostgreSQL begins with these letters."""

_PLACE: Final = Statement("SELECT place FROM seal")
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


def sealed(wire: Wire) -> str | None:
    """Return the place where the log goes on, if it is sealed here."""
    place: str | None = wire.value(_PLACE) if wire.value(EXISTS, table="seal") else None
    return place


def refusal(wire: Wire) -> StorageError | None:
    """Return the reason why nothing may be written, if the log is sealed."""
    place = sealed(wire)
    return None if place is None else StorageError(Fault.SEALED, why=words(place))


def words(place: str) -> str:
    return f"it goes on at {place}"


def seal(connection: psycopg.Connection[Any], place: str) -> None:
    """Refuse all writes from now on, in words that name the *place* where the log goes on.

    It runs in a transaction that has the lock of the log, which is not sealed.
    """
    connection.execute(_TABLE)
    connection.execute("INSERT INTO seal VALUES (1, %s)", (place,))
    for table, changes in _REFUSED.items():
        connection.execute(
            sql.SQL(
                "CREATE TRIGGER sealed BEFORE {} ON {} EXECUTE FUNCTION refuse_writes({})"
            ).format(sql.SQL(changes), sql.Identifier(table), sql.Literal(words(place)))
        )
