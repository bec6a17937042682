"""The server of the log, and the connections to it: one writes, others read."""

import hashlib
import logging
import os
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import psycopg
from psycopg.conninfo import conninfo_to_dict

from inventory_grpc.application.store import Durability, Unusable
from inventory_grpc.choices import Prepare
from inventory_grpc.infrastructure.postgres.session import (
    Pooling,
    check_in_force,
    escaped,
    is_pooled,
    options,
    pooling,
)
from inventory_grpc.infrastructure.postgres.wire import Wire

_log = logging.getLogger(__name__)

IDLE_SECONDS: Final = 2
"""A transaction in which a client is silent for longer ends, so that others get the lock."""
LOCK_SECONDS: Final = 5
"""A transaction waits this long for the lock."""
STATEMENT_SECONDS: Final = 10
CONNECT_SECONDS: Final = 3

_COMMON: Final = {
    "statement_timeout": f"{STATEMENT_SECONDS}s",
    "idle_in_transaction_session_timeout": f"{IDLE_SECONDS}s",
    "client_connection_check_interval": "1s",
    "jit": "off",
}
# for look-ups by key: a plan made for small tables must not stay
_BY_KEY: Final = {"enable_seqscan": "off", "enable_hashjoin": "off", "enable_mergejoin": "off"}
_OF_WRITER: Final = {
    "lock_timeout": f"{LOCK_SECONDS}s",
    "default_transaction_isolation": "read committed",
    **_BY_KEY,
}
_OF_READERS: Final = {"default_transaction_read_only": "on"}


@dataclass(frozen=True)
class Server:
    """A database on a server, and how it is used."""

    url: str
    """As libpq has it, such as `postgresql:///inventory`.

    The tables are in the first schema of its `search_path`, which `options` of the URL can set.
    """
    durability: Durability = Durability.FULL
    prepare: Prepare = Prepare.AUTO
    is_replica: bool = False

    @cached_property
    def pooling(self) -> Pooling:
        return pooling(lambda: self.connect({}))

    @cached_property
    def prepares(self) -> bool:
        """Whether statements are prepared, which must be in the session that executes them."""
        is_shared = self.prepare is Prepare.AUTO and self.pooling is Pooling.TRANSACTION
        if is_shared:
            _log.warning("a pooler of transactions was found: statements are not prepared")
        return self.prepare is not Prepare.OFF and not is_shared

    def writer(self) -> Wire:
        return Wire(self.connect(self._of_writer), prepares=self.prepares)

    @property
    def _of_writer(self) -> dict[str, str]:
        commit = "off" if self.durability is Durability.RELAXED else "on"
        return _OF_WRITER | {"synchronous_commit": commit}

    def reader(self) -> Wire:
        return Wire(self.connect(_OF_READERS), prepares=self.prepares)

    def reader_by_key(self) -> Wire:
        return Wire(self.connect(_OF_READERS | _BY_KEY), prepares=self.prepares)

    def bulk_writer(self, settings: dict[str, str]) -> psycopg.Connection[Any]:
        """Open a connection that plans as the writer does, with other *settings*."""
        return self.direct(_OF_WRITER | settings)

    def direct(self, settings: dict[str, str]) -> psycopg.Connection[Any]:
        """Open a connection for what needs a session of its own.

        Raises:
            Unusable: the URL leads to a pooler.
        """
        connection = self.connect(settings)
        if is_pooled(connection):
            connection.close()
            raise Unusable(
                f"{self.url} leads to a pooler: this needs a session of its own, so name the host "
                "and port of PostgreSQL itself"
            )
        return connection

    def check_session(self) -> None:
        """Check that the settings of the writer, and the schema of the URL, are in force.

        Raises:
            Unusable: they are not.
        """
        of_url = options(str(conninfo_to_dict(self.url).get("options", "")))
        path = {name: value for name, value in of_url.items() if name == "search_path"}
        with closing(self.connect(self._of_writer)) as connection:
            check_in_force(connection, _COMMON | self._of_writer | path)

    def connect(self, settings: dict[str, str]) -> psycopg.Connection[Any]:
        """Open a connection, whose session has these settings."""
        named = conninfo_to_dict(self.url)
        every = (_COMMON | settings).items()
        ours = [f"-c {name}={escaped(value)}" for name, value in every]
        return psycopg.connect(
            self.url,
            autocommit=True,
            options=" ".join([str(named.get("options", "")), *ours]),
            prepare_threshold=None,  # its own statements are few, and `Wire` prepares ours
            **_default_sslmode(named),
            # of several hosts: another one would refuse all writes, and be behind with its answers
            target_session_attrs="standby" if self.is_replica else "primary",
            client_encoding="UTF8",
            connect_timeout=CONNECT_SECONDS,
            keepalives_idle=5,
            keepalives_interval=2,
            keepalives_count=3,
            tcp_user_timeout=10_000,
            application_name="inventory-grpc",
        )


def _default_sslmode(named: Mapping[str, Any]) -> dict[str, Any]:
    """Return the mode if nothing names one: libpq would fall back to plain text silently.

    The URL, the environment or a service may name it, and the server.
    """

    def value(name: str, variable: str) -> str:
        return str(named.get(name) or os.environ.get(variable, ""))

    if value("sslmode", "PGSSLMODE") or value("service", "PGSERVICE"):
        return {}
    hosts = [*value("host", "PGHOST").split(","), *value("hostaddr", "PGHOSTADDR").split(",")]
    is_local = all(
        host.startswith(("/", "@", "127.")) or host in {"", "localhost", "::1"} for host in hosts
    )
    return {"sslmode": "prefer" if is_local else "verify-full"}


def lock_key(log_id: str) -> int:
    """Return the key of the advisory lock of a log."""
    return int.from_bytes(hashlib.sha256(log_id.encode()).digest()[:8], "big", signed=True)
