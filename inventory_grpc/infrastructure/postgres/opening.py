"""Prepares a database for serving: its tables, its format, and the settings of its server."""

import logging
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any, Final

import psycopg

from inventory_grpc.application.store import Durability, Unusable
from inventory_grpc.domain.values import Instant
from inventory_grpc.infrastructure.log.names import new_log_id
from inventory_grpc.infrastructure.postgres import migrations, roles
from inventory_grpc.infrastructure.postgres.faults import failures_in_words
from inventory_grpc.infrastructure.postgres.read_models import VERSION
from inventory_grpc.infrastructure.postgres.server import Server
from inventory_grpc.infrastructure.postgres.tables import check_format, check_tables

_log = logging.getLogger(__name__)

OLDEST_SERVER: Final = 150_000
"""PostgreSQL 15."""

_CREATING: Final = 0x496E7674
"""The advisory lock under which one of several instances creates the tables."""


def prepare(server: Server, now: Instant, *, create: bool) -> None:
    """Create the tables in an empty schema, and check what cannot be served safely.

    Raises:
        Unusable: it has another format, must not be created, or its server is not safe.
        StorageError: the server cannot be reached.
    """
    with failures_in_words(), closing(server.connect({})) as connection:
        server.check_session()
        create_where_missing(server, connection, now, create=create)
        check_tables(connection)


def create_where_missing(
    server: Server, connection: psycopg.Connection[Any], now: Instant, *, create: bool = True
) -> None:
    """Create the tables in an empty schema.

    Raises:
        Unusable: they must not be created, belong to an unfinished copy, or the server is not safe.
    """
    _check_server(connection, server)
    if not _schema(connection):
        raise _without_schema(connection, server)
    with _created_by_one(connection):
        if not _exists(connection):
            if not create:
                raise _missing(connection, server)
            _create(connection, now, new_log_id())
    _check_complete(connection, server)


def begin_copy(server: Server, log_id: str) -> None:
    """Create the tables for a copy of the log with this id in an empty schema.

    Raises:
        Unusable: it has another format, or its server is not safe.
        StorageError: the server cannot be reached.
    """
    with failures_in_words(), closing(server.connect({})) as connection:
        _check_server(connection, server)
        with _created_by_one(connection):
            if not _exists(connection):
                _create(connection, Instant(0), log_id)
                connection.execute("CREATE TABLE copying (source text NOT NULL)")
        check_format(connection)


def is_unfinished_copy(connection: psycopg.Connection[Any]) -> bool:
    """Return whether there is a copy to which not all was copied."""
    return _exists(connection, "copying")


def _check_complete(connection: psycopg.Connection[Any], server: Server) -> None:
    if is_unfinished_copy(connection):
        raise Unusable(
            f"the copy of a log at {server.url} is not complete: run `inventory-grpc copy` again"
        )


def check_log(
    server: Server, *, with_old_tables: bool = False, may_be_unfinished: bool = False
) -> None:
    """Check that there is a log of this program's format; its read models may be older then.

    Raises:
        Unusable: there is none.
        StorageError: the server cannot be reached.
    """
    with failures_in_words(), closing(server.connect({})) as connection:
        if not _exists(connection):
            raise _missing(connection, server)
        roles.check_rights(connection, writes=False)
        if not may_be_unfinished:
            _check_complete(connection, server)
        if not with_old_tables or _is_newer(connection):
            check_format(connection)


def _is_newer(connection: psycopg.Connection[Any]) -> bool:
    """Return whether the format or the read models are not those of this or an earlier version."""
    found = connection.execute(
        "SELECT format <> ALL (%s) OR read_models > %s FROM log",
        ([*migrations.formats()], VERSION),
    ).fetchone()
    return found is not None and bool(found[0])


def _missing(connection: psycopg.Connection[Any], server: Server) -> Unusable:
    if not _schema(connection):
        return _without_schema(connection, server)
    return Unusable(f"there is no inventory database at {server.url}")


def _schema(connection: psycopg.Connection[Any]) -> str | None:
    row = connection.execute("SELECT current_schema()").fetchone()
    return str(row[0]) if row and row[0] else None


def _without_schema(connection: psycopg.Connection[Any], server: Server) -> Unusable:
    path = _setting(connection, "search_path")
    return Unusable(
        f"there is no schema {path} at {server.url} that the role {connection.info.user} may use: "
        "its owner makes one with CREATE SCHEMA, or lets the role in with GRANT USAGE ON SCHEMA"
    )


def _check_server(connection: psycopg.Connection[Any], server: Server) -> None:
    version = connection.info.server_version
    if version < OLDEST_SERVER:
        raise Unusable(f"PostgreSQL {version // 10_000} is too old: 15 or newer is needed")
    if _setting(connection, "fsync") == "off" and server.durability is Durability.FULL:
        raise Unusable(
            "PostgreSQL runs with fsync=off and loses commits when its machine stops; "
            "set INVENTORY_DURABILITY=relaxed if that is what you want"
        )
    if (encoding := _setting(connection, "server_encoding")) != "UTF8":
        raise Unusable(f"the database has the encoding {encoding}: UTF8 is needed")
    if _setting(connection, "full_page_writes") == "off":
        _log.warning("PostgreSQL runs with full_page_writes=off: a crash may damage pages")


def _setting(connection: psycopg.Connection[Any], name: str) -> str:
    row = connection.execute("SELECT current_setting(%s)", (name,)).fetchone()
    return str(row[0]) if row else ""


@contextmanager
def _created_by_one(connection: psycopg.Connection[Any]) -> Iterator[None]:
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (_CREATING,))
        yield


def _exists(connection: psycopg.Connection[Any], table: str = "log") -> bool:
    found = connection.execute(
        "SELECT 1 FROM pg_tables WHERE schemaname = current_schema() AND tablename = %s", (table,)
    ).fetchone()
    return found is not None


def _create(connection: psycopg.Connection[Any], now: Instant, log_id: str) -> None:
    role, schema = connection.info.user, _schema(connection)
    row = connection.execute("SELECT has_schema_privilege(current_schema(), 'CREATE')").fetchone()
    if not row or not row[0]:
        raise Unusable(
            f"the role {role} may not make tables in the schema {schema}: as the role that owns "
            f"the schema, run `inventory-grpc migrate --service-role {role}`"
        )
    connection.execute(migrations.whole_ddl().encode())
    connection.execute(
        "INSERT INTO log (one, log_id, create_time, format, read_models) "
        "VALUES (1, %s, %s, %s, %s)",
        (log_id, int(now), migrations.format_of(migrations.MIGRATIONS), VERSION),
    )
