"""The server of the log, and the connections to it: one writes, others read."""

import hashlib
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import psycopg
from psycopg.conninfo import conninfo_to_dict

from inventory_grpc.application.store import Durability
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
    "default_transaction_isolation": r"read\ committed",
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
    is_replica: bool = False

    def writer(self) -> Wire:
        commit = "off" if self.durability is Durability.RELAXED else "on"
        return Wire(self.connect(_OF_WRITER | {"synchronous_commit": commit}))

    def reader(self) -> Wire:
        return Wire(self.connect(_OF_READERS))

    def reader_by_key(self) -> Wire:
        return Wire(self.connect(_OF_READERS | _BY_KEY))

    def bulk_writer(self, settings: dict[str, str]) -> psycopg.Connection[Any]:
        """Open a connection that plans as the writer does, with other *settings*."""
        return self.connect(_OF_WRITER | settings)

    def connect(self, settings: dict[str, str]) -> psycopg.Connection[Any]:
        """Open a connection, whose session has these settings."""
        named = conninfo_to_dict(self.url)
        every = (_COMMON | settings).items()
        options = (str(named.get("options", "")), *(f"-c {name}={value}" for name, value in every))
        return psycopg.connect(
            self.url,
            autocommit=True,
            options=" ".join(options),
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
