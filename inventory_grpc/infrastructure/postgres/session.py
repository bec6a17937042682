"""A session as the server has it: whether a pooler is before it, and which settings are in force.

A pooler such as PgBouncer gives one session of PostgreSQL to several clients in turn, and drops the
settings with which a client connects.
"""

import re
from collections.abc import Callable, Mapping
from contextlib import closing
from enum import Enum
from typing import Any, Final

import psycopg
from psycopg import sql

from inventory_grpc.application.store import Unusable

TRIES: Final = 5
"""Other clients of a pooler may take a session between two looks at it."""

_BACKEND: Final = "SELECT pg_backend_pid()"
_OPTION: Final = re.compile(r"(?:-c ?|--)(\w+)=((?:\\.|[^\\\s])*)")


class Pooling(Enum):
    """The time for which a client has a session of PostgreSQL."""

    NONE = "for itself"
    SESSION = "until it disconnects"
    TRANSACTION = "until its transaction ends"


def is_pooled(connection: psycopg.Connection[Any]) -> bool:
    """Return whether a pooler answers: it gives clients a number of its own to cancel with."""
    return _backend(connection) != connection.info.backend_pid


def pooling(connect: Callable[[], psycopg.Connection[Any]]) -> Pooling:
    """Return how sessions are shared on the way to PostgreSQL."""
    with closing(connect()) as one:
        if not is_pooled(one):
            return Pooling.NONE
        with closing(connect()) as other:
            for _ in range(TRIES):
                before = _backend(one)
                other.execute("BEGIN")
                is_taken = _backend(other) == before or _backend(one) != before
                other.execute("ROLLBACK")
                if is_taken:
                    return Pooling.TRANSACTION
    return Pooling.SESSION


def check_in_force(connection: psycopg.Connection[Any], wanted: Mapping[str, str]) -> None:
    """Check that the settings with which a client has connected are those of its session.

    Raises:
        Unusable: they are not; the message has the commands that give them to the role.
    """
    rows = connection.execute(
        "SELECT name, current_setting(name) FROM unnest(%s::text[]) AS name", ([*wanted],)
    ).fetchall()
    found = dict(rows)
    if lacking := {name: value for name, value in wanted.items() if found[name] != value}:
        told = ", ".join(f"{name} is {found[name] or 'empty'}" for name in lacking)
        commands = " ".join(_commands(connection, lacking))
        raise Unusable(
            f"settings of the session are not in force, as a pooler drops them: {told}. Have "
            f"the role set them, then reconnect the pooler: {commands}"
        )


def _commands(connection: psycopg.Connection[Any], lacking: Mapping[str, str]) -> list[str]:
    """Return the commands that give a role these settings in this database."""
    row = connection.execute("SELECT current_user, current_database()").fetchone()
    assert row is not None
    role, database = map(sql.Identifier, row)
    return [
        sql.SQL("ALTER ROLE {} IN DATABASE {} SET {} = {};")
        .format(
            *(role, database, sql.Identifier(name)),
            # a list of schemas has its own quotes
            sql.SQL(value) if name == "search_path" else sql.Literal(value),
        )
        .as_string(connection)
        for name, value in lacking.items()
    ]


def options(text: str) -> dict[str, str]:
    """Return the settings in the `options` of a URL."""
    return {name: re.sub(r"\\(.)", r"\1", value) for name, value in _OPTION.findall(text)}


def escaped(value: str) -> str:
    """Return a value as `options` have it."""
    return re.sub(r"([\\\s])", r"\\\1", value)


def _backend(connection: psycopg.Connection[Any]) -> int:
    row = connection.execute(_BACKEND).fetchone()
    assert row is not None
    return int(row[0])
