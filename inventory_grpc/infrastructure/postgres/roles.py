"""The two roles: the owner of the tables, and the role of the servers, which has a few rights.

The owner makes and changes tables. The servers only add to the log; PostgreSQL itself refuses it if
they would change or delete an event.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import psycopg
from psycopg import sql

from inventory_grpc.application.store import Unusable
from inventory_grpc.infrastructure.postgres.migrations import MIGRATIONS
from inventory_grpc.infrastructure.postgres.read_models import TABLES

_OF_LOG: Final[Mapping[str, str]] = {
    "log": "SELECT, UPDATE (probe)",
    "streams": "SELECT, INSERT",
    "subjects": "SELECT, INSERT",
    "events": "SELECT, INSERT",
    "requests": "SELECT, INSERT, DELETE",
    "unsettled": "SELECT, INSERT, UPDATE, DELETE",
}
_OF_READ_MODELS: Final = "SELECT, INSERT, UPDATE"

_LACKING: Final = (
    "SELECT privilege || ' on ' || relation "
    "FROM unnest(%s::text[], %s::text[], %s::text[]) AS required (relation, privilege, of_column) "
    "JOIN pg_class ON relname = relation "
    "AND relnamespace = quote_ident(current_schema())::regnamespace "
    "WHERE NOT CASE of_column WHEN '' THEN has_table_privilege(oid, privilege) "
    "ELSE has_column_privilege(oid, of_column, privilege) END ORDER BY 1"
)
_RIGHT: Final = re.compile(r"(\w+)(?: \((\w+)\))?")
"""A right on a table, or on one of its columns."""


def rights() -> dict[str, str]:
    """Return the rights that servers need, by table."""
    found = {**_OF_LOG, **dict.fromkeys(TABLES, _OF_READ_MODELS)}
    for migration in MIGRATIONS:
        found |= migration.rights
    return found


def check_rights(connection: psycopg.Connection[Any], *, writes: bool) -> None:
    """Check that the role of a connection may do what servers do, or only what readers do.

    Raises:
        Unusable: it may not; the message names what is lacking.
    """
    required = [
        (table, *right)
        for table, privileges in rights().items()
        for right in _RIGHT.findall(privileges)
        if writes or right[0] == "SELECT"
    ]
    columns = tuple(map(list, zip(*required, strict=True)))
    lacking = connection.execute(_LACKING.encode(), columns).fetchall()
    if lacking:
        role = connection.info.user
        remedy = (
            f"as the owner of the tables, run `inventory-grpc migrate --service-role {role}`"
            if writes
            else "run this as the role of the servers, or as the owner of the tables"
        )
        raise Unusable(f"the role {role} lacks {', '.join(what for (what,) in lacking)}: {remedy}")


def owner_of(connection: psycopg.Connection[Any]) -> str:
    row = connection.execute(
        "SELECT pg_get_userbyid(relowner) FROM pg_class WHERE relname = 'log' "
        "AND relnamespace = quote_ident(current_schema())::regnamespace"
    ).fetchone()
    return str(row[0]) if row else ""


def check_owner(connection: psycopg.Connection[Any], what: str) -> None:
    """Check that the role of a connection owns the tables, or has the rights of the owner.

    Raises:
        Unusable: it does not, and cannot do *what*.
    """
    owner = owner_of(connection)
    row = connection.execute(
        "SELECT pg_has_role(rolname, 'USAGE') FROM pg_roles WHERE rolname = %s", (owner,)
    ).fetchone()
    if not row or not row[0]:
        raise Unusable(
            f"{what} needs the owner of the tables, which is {owner}, or a member of that role: "
            f"{connection.info.user} is neither"
        )


def grants(connection: psycopg.Connection[Any], role: str) -> Iterator[sql.Composed]:
    """Yield the statements that give *role* the rights of a server, and take all others away.

    Raises:
        Unusable: it owns the tables, so that nothing can be taken away.
    """
    if role == owner_of(connection):
        raise Unusable(f"the role {role} owns the tables; the servers need another one")
    row = connection.execute("SELECT current_schema()").fetchone()
    schema, to = sql.Identifier(str(row and row[0])), sql.Identifier(role)
    yield sql.SQL("GRANT USAGE ON SCHEMA {} TO {}").format(schema, to)
    yield sql.SQL("REVOKE ALL ON ALL TABLES IN SCHEMA {} FROM {}").format(schema, to)
    for table, privileges in rights().items():
        yield sql.SQL("GRANT {} ON {}.{} TO {}").format(
            sql.SQL(privileges), schema, sql.Identifier(table), to
        )
