"""Prepares a database for serving: its tables, its format, and the settings of its server."""

import logging
from collections.abc import Iterator
from contextlib import closing, contextmanager
from importlib.resources import files
from typing import Any, Final

import psycopg

from inventory_grpc.application.store import Durability, Unusable
from inventory_grpc.domain.values import Instant
from inventory_grpc.infrastructure.log.names import new_log_id
from inventory_grpc.infrastructure.postgres import log_names
from inventory_grpc.infrastructure.postgres.faults import storage_errors
from inventory_grpc.infrastructure.postgres.read_models import READ_MODELS, VERSION
from inventory_grpc.infrastructure.postgres.server import Server

_log = logging.getLogger(__name__)

OLDEST_SERVER: Final = 150_000
"""PostgreSQL 15."""

FORMAT: Final = 2
"""The format of the log in PostgreSQL, see log.sql and names.sql. A newer one is not changed."""
WITHOUT_NAMES: Final = 1
"""The format before the names of the log; it is served too, without noticing failovers."""

_CREATING: Final = 0x496E7674
"""The advisory lock under which one of several instances creates the tables."""


def prepare(server: Server, now: Instant, *, create: bool) -> None:
    """Create the tables in an empty schema, and check what cannot be served safely.

    Raises:
        Unusable: it has another format, must not be created, or its server is not safe.
        StorageError: the server cannot be reached.
    """
    with storage_errors(), closing(server.connect({})) as connection:
        _check_server(connection, server)
        with _created_by_one(connection):
            if not _exists(connection):
                if not create:
                    raise _missing(server)
                _create(connection, now, new_log_id())
            _check_complete(connection, server)
            _check_format(connection)
            _add_names(connection)


def begin_copy(server: Server, log_id: str) -> None:
    """Create the tables for a copy of the log with this id in an empty schema.

    Raises:
        Unusable: it has another format, or its server is not safe.
        StorageError: the server cannot be reached.
    """
    with storage_errors(), closing(server.connect({})) as connection:
        _check_server(connection, server)
        with _created_by_one(connection):
            if not _exists(connection):
                _create(connection, Instant(0), log_id)
                connection.execute("CREATE TABLE copying (source text NOT NULL)")
            _check_format(connection)
            _add_names(connection)


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
    with storage_errors(), closing(server.connect({})) as connection:
        if not _exists(connection):
            raise _missing(server)
        if not may_be_unfinished:
            _check_complete(connection, server)
        if not with_old_tables or _is_newer(connection):
            _check_format(connection)


def _is_newer(connection: psycopg.Connection[Any]) -> bool:
    """Return whether the format or the read models are not those of this or an earlier version."""
    found = connection.execute(
        "SELECT format > %s OR read_models > %s FROM log", (FORMAT, VERSION)
    ).fetchone()
    return found is not None and bool(found[0])


def _missing(server: Server) -> Unusable:
    return Unusable(f"there is no inventory database at {server.url}")


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
    tables = files("inventory_grpc.infrastructure.postgres").joinpath("log.sql").read_bytes()
    connection.execute(tables)
    for model in READ_MODELS:
        connection.execute(model.ddl.encode())
    log_names.create(connection)
    connection.execute(
        "INSERT INTO log (one, log_id, create_time, format, read_models) "
        "VALUES (1, %s, %s, %s, %s)",
        (log_id, int(now), FORMAT, VERSION),
    )


def _add_names(connection: psycopg.Connection[Any]) -> None:
    """Give a log the tables of its names; a server of an earlier release cannot start on it then.

    Without the right to do that, it is served as it was before.
    """
    if connection.execute("SELECT format FROM log").fetchone() != (WITHOUT_NAMES,):
        return
    try:
        with connection.transaction():
            log_names.create(connection)
            connection.execute("UPDATE log SET format = %s", (FORMAT,))
    except psycopg.errors.InsufficientPrivilege as error:
        _log.warning(
            "a failover that loses commits is not noticed, because the tables for it are missing: "
            "start a server once as a role that may create them (%s)",
            error.diag.message_primary,
        )
    else:
        _log.info("the log has got the tables of its names")


def _check_format(connection: psycopg.Connection[Any]) -> None:
    found = connection.execute("SELECT format, read_models FROM log").fetchone()
    if found not in {(FORMAT, VERSION), (WITHOUT_NAMES, VERSION)}:
        is_newer = found is None or found[0] > FORMAT or found[1] > VERSION
        remedy = "use a newer inventory-grpc" if is_newer else "run `inventory-grpc rebuild`"
        raise Unusable(
            f"the database has format {found}, and this program has {(FORMAT, VERSION)}: {remedy}; "
            "it was left as it is"
        )
