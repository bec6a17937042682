"""Makes the read models anew from the log, while servers write and read.

The new tables are made in a schema beside that of the old ones, and filled in pages without the
lock of the log. Under the lock, the last page is applied and the new tables take the place of the
old ones, in one transaction: killed at any moment, it leaves the old tables as they were.
"""

import logging
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from typing import Any, Final

import psycopg
from psycopg import sql

from inventory_grpc.application.failpoints import reach
from inventory_grpc.application.ports import Fault, StorageError
from inventory_grpc.application.store import Progress, Unusable
from inventory_grpc.infrastructure.log.replay import LogInconsistent, broken_links, play
from inventory_grpc.infrastructure.postgres.events import first_link, read_head, read_log_id
from inventory_grpc.infrastructure.postgres.faults import failures_in_words, state_of
from inventory_grpc.infrastructure.postgres.opening import check_log
from inventory_grpc.infrastructure.postgres.read_models import READ_MODELS, TABLES, VERSION
from inventory_grpc.infrastructure.postgres.replay import PAGE, PostgresTarget, pages
from inventory_grpc.infrastructure.postgres.roles import check_owner
from inventory_grpc.infrastructure.postgres.server import Server, lock_key
from inventory_grpc.infrastructure.postgres.wire import Wire

_log = logging.getLogger(__name__)

ATTEMPTS: Final = 10
"""The old tables are locked for a moment, and reads that take longer make that fail."""

_SETTINGS: Final = {
    # reads wait behind this one while it waits for a lock
    "lock_timeout": "1s",
    "idle_in_transaction_session_timeout": "30s",
}
_BESIDE: Final = "_rebuild"
"""The end of the name of the schema with the new tables."""
_THERE: Final = (
    "SELECT tablename::text FROM pg_tables "
    "WHERE schemaname = $schema::text AND tablename = ANY($tables::text[])"
)
_GRANTS: Final = (
    "SELECT format('GRANT %s ON TABLE %I.%I TO %s', privilege_type, nspname, relname, "
    "coalesce(quote_ident(rolname), 'PUBLIC')) "
    "FROM pg_class JOIN pg_namespace AS schema ON schema.oid = relnamespace "
    "CROSS JOIN aclexplode(relacl) LEFT JOIN pg_roles ON pg_roles.oid = grantee "
    "WHERE nspname = $schema::text AND relname = ANY($tables::text[])"
)
"""Selects the statements that give the roles of old tables the same rights on new ones."""


def rebuild(url: str, progress: Progress) -> int:
    """Make all tables that follow from the log anew; return the position reached.

    Raises:
        Unusable: there is no log of this program, another process is doing the same, or the role
            may not create a schema.
        LogInconsistent: the log contradicts itself; nothing was changed.
        StorageError: the server has failed; nothing was changed.
    """
    server = Server(url)
    check_log(server, with_old_tables=True)
    with failures_in_words(), closing(server.bulk_writer(_SETTINGS)) as connection:
        check_owner(connection, "to rebuild")
        return _Rebuilding(connection, progress).run()


class _Rebuilding:
    """New tables in a schema of their own, which is the first in the search path."""

    def __init__(self, connection: psycopg.Connection[Any], progress: Progress) -> None:
        self._connection = connection
        self._wire = Wire(connection)
        self._progress = progress
        self._position, self._hash = 0, first_link(self._wire)
        row = connection.execute("SELECT current_schema(), hashtext(current_schema())").fetchone()
        assert row is not None
        self._schema, self._key = row
        self._beside = self._schema + _BESIDE

    def run(self) -> int:
        if not self._wire.value("SELECT pg_try_advisory_lock($key::int8)", key=self._key):
            raise Unusable("another process is rebuilding these tables")
        self._execute("DROP SCHEMA IF EXISTS {beside} CASCADE")  # left by one that was killed
        self._execute("CREATE SCHEMA {beside}")
        try:
            self._execute("SET search_path TO {beside}, {schema}")
            for model in READ_MODELS:
                self._connection.execute(model.ddl.encode())
            self._play(read_head(self._wire))
            reach("rebuild_mid")
            return self._replace()
        finally:
            with suppress(psycopg.Error):
                self._execute("DROP SCHEMA IF EXISTS {beside} CASCADE")

    def _execute(self, statement: str) -> None:
        names = {"beside": self._beside, "schema": self._schema}
        named = {name: sql.Identifier(value) for name, value in names.items()}
        self._connection.execute(sql.SQL(statement).format(**named))

    def _play(self, head: int) -> None:
        """Fill the new tables up to *head*."""
        wire = self._wire
        for page in pages(wire, self._position, head):
            for position in broken_links(page, self._position, self._hash):
                raise LogInconsistent(f"event {position}: is missing, or breaks the hash chain")
            with self._transaction():
                for misfit in play([page], PostgresTarget(wire), lambda _: None):
                    raise LogInconsistent(misfit)
            self._position, self._hash, *_ = page[-1]
            self._progress(self._position, head)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """Run a transaction, unless one is open."""
        if self._wire.in_transaction:
            yield
        else:
            with self._connection.transaction():
                yield

    def _replace(self) -> int:
        """Have the new tables take the place of the old ones, and return the position."""
        for attempt in range(ATTEMPTS):
            while (head := read_head(self._wire)) > self._position + PAGE:
                self._play(head)
            before = self._position, self._hash
            try:
                with self._connection.transaction():
                    self._replace_under_lock()
            except psycopg.Error as error:
                if attempt == ATTEMPTS - 1 or not _may_pass(error):
                    raise
                _log.warning("the old tables are in use (%s): trying again", error)
                self._position, self._hash = before
            else:
                return self._position
        raise StorageError(Fault.BUSY)

    def _replace_under_lock(self) -> None:
        key = lock_key(read_log_id(self._wire))
        self._wire.query("SELECT pg_advisory_xact_lock($key::int8)::text", key=key)
        self._play(read_head(self._wire))
        there = self._wire.query(_THERE, schema=self._schema, tables=TABLES)
        old = ", ".join(f"{{schema}}.{table}" for (table,) in there)
        self._execute(f"LOCK TABLE {old} IN ACCESS EXCLUSIVE MODE")
        granted = self._wire.query(_GRANTS, schema=self._schema, tables=TABLES)
        self._execute(f"DROP TABLE {old}")
        for table in TABLES:
            self._execute(f"ALTER TABLE {{beside}}.{table} SET SCHEMA {{schema}}")
        for (grant,) in granted:
            self._connection.execute(grant.encode())
        self._wire.query("UPDATE log SET read_models = $version::int2", version=VERSION)


def _may_pass(error: psycopg.Error) -> bool:
    """Return whether a lock was not given in time, or only with a deadlock."""
    return state_of(error) in {"55P03", "40P01"}
