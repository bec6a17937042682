"""Roles of a test's own in PostgreSQL, beside the one that owns the tables."""

import secrets
from collections.abc import Iterator
from contextlib import closing, contextmanager

import psycopg

from tests.support import postgres


def execute(url: str, *statements: str) -> None:
    with closing(psycopg.connect(url, autocommit=True)) as connection:
        for statement in statements:
            connection.execute(statement.encode())


@contextmanager
def role() -> Iterator[str]:
    """Make a role that may log in and has no rights; on leaving, it is gone."""
    name = f"ben_{secrets.token_hex(4)}"
    execute(postgres.url(), f"CREATE ROLE {name} LOGIN")
    try:
        yield name
    finally:
        execute(postgres.url(), f"DROP OWNED BY {name}", f"DROP ROLE {name}")


def as_role(url: str, name: str) -> str:
    """Return the URL with which a role connects."""
    owner = f"postgresql://{postgres.USER}@"
    assert url.startswith(owner)
    return url.replace(owner, f"postgresql://{name}@", 1)
