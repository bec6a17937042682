"""Changes the tables of a log while servers run: expand, move, contract.

Only `inventory-grpc migrate` changes tables, and one at a time. A statement that needs a table for
itself waits `LOCK_SECONDS` for it at most, because all other statements wait behind it, and is
tried again. Killed at any moment, it can be run again: each part finds out what is left to do.
"""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from typing import Any, Final

import psycopg
from psycopg import sql

from inventory_grpc.application.failpoints import reach
from inventory_grpc.application.store import Unusable
from inventory_grpc.infrastructure import clocks
from inventory_grpc.infrastructure.postgres import catalogue, migrations, roles
from inventory_grpc.infrastructure.postgres.catalogue import Item
from inventory_grpc.infrastructure.postgres.events import read_head, read_log_id
from inventory_grpc.infrastructure.postgres.faults import failures_in_words
from inventory_grpc.infrastructure.postgres.lock_attempts import LockTaken, Say, attempt
from inventory_grpc.infrastructure.postgres.migrations import Migration
from inventory_grpc.infrastructure.postgres.opening import create_where_missing
from inventory_grpc.infrastructure.postgres.server import Server, lock_key
from inventory_grpc.infrastructure.postgres.wire import Wire

LOCK_SECONDS: Final = 2
"""A statement waits this long for a lock, and what comes later waits behind it."""
INDEX_SECONDS: Final = 600
"""An index is made beside writers, and waits this long for older transactions to end."""
PAGE: Final = 1_000
"""Positions whose rows are moved at a time."""

_SETTINGS: Final = {"lock_timeout": f"{LOCK_SECONDS}s"}
_SETTINGS_OF_INDEXES: Final = {"lock_timeout": f"{INDEX_SECONDS}s", "statement_timeout": "0"}
_MOVED: Final = (
    "INSERT INTO migrations VALUES (%(name)s, %(upto)s) "
    "ON CONFLICT (name) DO UPDATE SET moved = excluded.moved"
)


def pending(url: str) -> list[str]:
    """Return what is left to do for the tables of a log, in words.

    Raises:
        Unusable: it is the log of a newer release.
        StorageError: the server has failed.
    """
    server = Server(url)
    with failures_in_words(), closing(server.direct(_SETTINGS)) as connection:
        if Item("table", "log") not in catalogue.found(connection).valid:
            return ["there are no tables"]
        return [*_Migrating(server, connection, lambda _: None).pending()]


def migrate(url: str, say: Say, *, finish: bool, service_role: str | None) -> None:
    """Make what is missing, and tell each part by *say*.

    With *finish*, also make what servers of the release before cannot go on beside. A
    *service_role* gets the rights of a server.

    Raises:
        Unusable: the role does not own the tables, or they cannot be brought up to date.
        StorageError: the server has failed; all that was said is done.
    """
    server = Server(url)
    with failures_in_words(), closing(server.direct(_SETTINGS)) as connection:
        create_where_missing(server, connection, clocks.wall())
        roles.check_owner(connection, "to migrate")
        migrating = _Migrating(server, connection, say)
        with migrating.alone():
            migrating.run(finish=finish)
            if service_role is not None:
                migrating.grant(service_role)


def statements_of_grants(url: str, role: str) -> list[str]:
    """Return the statements that give *role* the rights of a server."""
    with failures_in_words(), closing(Server(url).direct(_SETTINGS)) as connection:
        return [one.as_string(connection) for one in roles.grants(connection, role)]


class _Migrating:
    def __init__(self, server: Server, connection: psycopg.Connection[Any], say: Say) -> None:
        self._server = server
        self._connection = connection
        self._wire = Wire(connection)
        self._say = say
        self._log_id = read_log_id(self._wire)
        self._key = lock_key(f"migrate {self._log_id}")
        newest = migrations.format_of(migrations.MIGRATIONS)
        if self._format() > newest:
            raise Unusable(
                f"the log has format {self._format()}, and this program has {newest}: use a newer "
                "inventory-grpc; it was left as it is"
            )

    def _format(self) -> int:
        return int(self._wire.value("SELECT format::int8 FROM log"))

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Hold the lock of migrations; another process that holds it is waited for."""

        def take() -> None:
            if not self._wire.value("SELECT pg_try_advisory_lock($key::int8)", key=self._key):
                raise LockTaken("another process is migrating this log")

        attempt("the lock of migrations", take, self._say)
        yield  # the lock ends with the connection

    def run(self, *, finish: bool) -> None:
        for migration in migrations.MIGRATIONS:
            self._expand(migration)
        self._check_rest()
        self._make_indexes()
        for migration in migrations.MIGRATIONS:
            if migration.move and not self._is_contracted(migration):
                self._move(migration)
        if finish:
            for migration in self._to_finish():
                self._contract(migration)

    def pending(self) -> Iterator[str]:
        """Yield what is left to do."""
        there = catalogue.found(self._connection)
        for item in self._lacking(there):
            yield f"lacks {there.told(item)}"
        for migration in migrations.MIGRATIONS:
            if migration.move and not self._is_contracted(migration):
                left = read_head(self._wire) - self._moved(migration)
                if left > 0:
                    yield f"{migration.name}: rows of {left:,} positions are to be moved"
        for migration in self._to_finish():
            yield f"{migration.name}: `--finish` raises the format to {migration.format}"

    def grant(self, role: str) -> None:
        def grant() -> None:
            with self._connection.transaction():
                for statement in roles.grants(self._connection, role):
                    self._connection.execute(statement)

        attempt(f"the rights of {role}", grant, self._say)
        self._say(f"{role} has the rights of a server")

    def _lacking(self, there: catalogue.Found) -> list[Item]:
        return there.lacking(migrations.expected(self._format()))

    def _is_contracted(self, migration: Migration) -> bool:
        return migration.format is not None and migration.format <= self._format()

    def _to_finish(self) -> list[Migration]:
        return [
            migration
            for migration in migrations.MIGRATIONS
            if migration.format is not None and not self._is_contracted(migration)
        ]

    def _expand(self, migration: Migration) -> None:
        """Make the tables, columns and triggers of a migration, unless they are there."""
        made = catalogue.defined(migration.expand)
        if self._is_contracted(migration):
            made = catalogue.without_dropped(made, migration.contract)
        if not made - catalogue.found(self._connection).valid:
            return

        def expand() -> None:
            with self._connection.transaction():
                self._connection.execute(migration.expand.encode())
                _reach_part()

        attempt(migration.name, expand, self._say)
        self._say(f"{migration.name}: expanded")

    def _check_rest(self) -> None:
        """Check that only indexes are missing.

        Raises:
            Unusable: no migration makes the rest.
        """
        there = catalogue.found(self._connection)
        if rest := [there.told(one) for one in self._lacking(there) if one.kind != "index"]:
            raise Unusable(f"the log lacks {', '.join(rest)}, and no migration makes that")

    def _make_indexes(self) -> None:
        there = catalogue.found(self._connection)
        statements = catalogue.indexes(migrations.whole_ddl())
        for item in self._lacking(there):
            attempt(str(item), partial(self._make_index, item, statements[item.name]), self._say)
            self._say(f"{there.told(item)}: made")

    def _make_index(self, item: Item, statement: str) -> None:
        """Make an index beside writers; one whose making was broken off is dropped first."""
        with closing(self._server.direct(_SETTINGS_OF_INDEXES)) as connection:
            if item in catalogue.found(connection).invalid:
                connection.execute(
                    sql.SQL("DROP INDEX CONCURRENTLY {}").format(sql.Identifier(item.name))
                )
            _reach_part()
            connection.execute(
                statement.replace("INDEX", "INDEX CONCURRENTLY IF NOT EXISTS", 1).encode()
            )

    def _moved(self, migration: Migration) -> int:
        there = catalogue.found(self._connection).valid
        if Item("table", "migrations") not in there:
            return 0
        row = self._connection.execute(
            "SELECT moved FROM migrations WHERE name = %s", (migration.name,)
        ).fetchone()
        return int(row[0]) if row else 0

    def _move(self, migration: Migration) -> None:
        """Move the rows up to the head, in pages that are a transaction each."""
        before = self._moved(migration)
        while (after := self._moved(migration)) < (head := read_head(self._wire)):
            upto = min(after + PAGE, head)
            attempt(migration.name, partial(self._move_page, migration, after, upto), self._say)
        if after > before:
            self._say(f"{migration.name}: moved up to position {after:,}")

    def _move_page(self, migration: Migration, after: int, upto: int) -> None:
        values = {"name": migration.name, "after": after, "upto": upto}
        with self._connection.transaction():
            self._connection.execute(migration.move.encode(), values)
            self._connection.execute(_MOVED.encode(), values)
            _reach_part()

    def _contract(self, migration: Migration) -> None:
        """Move the last rows and take the old ones away, under the lock of the log."""

        def contract() -> None:
            with self._connection.transaction():
                self._connection.execute(
                    "SELECT pg_advisory_xact_lock(%s)", (lock_key(self._log_id),)
                )
                if migration.move:  # what was recorded since the last page
                    head = read_head(self._wire)
                    self._move_page(migration, self._moved(migration), head)
                if migration.contract:
                    self._connection.execute(migration.contract.encode())
                self._connection.execute("UPDATE log SET format = %s", (migration.format,))
                _reach_part()

        attempt(migration.name, contract, self._say)
        self._say(f"{migration.name}: finished, the log has format {migration.format}")


def _reach_part() -> None:
    """Stand before the end of a part, where a process may be killed."""
    reach("migrate_part")
