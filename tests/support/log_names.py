"""A log in PostgreSQL at another place, as after a failover or a restore, and its names."""

import secrets
from collections.abc import Iterator
from contextlib import closing, contextmanager

import psycopg
import pytest
from typer.testing import CliRunner, Result

from inventory_grpc.application.failures import WritesRefused
from inventory_grpc.application.ports import Fault
from inventory_grpc.choices import Failover
from inventory_grpc.cli import app
from inventory_grpc.infrastructure.log.names import LogName
from inventory_grpc.infrastructure.postgres import log_names
from inventory_grpc.infrastructure.postgres.server import Server
from tests.support import postgres
from tests.support.opened import Opened, change, opened, rows
from tests.support.waiting import eventually
from tests.support.world import add

PROMOTED = "UPDATE log_place SET timeline = timeline - 1"
RESTORED = "UPDATE log_place SET relation = '1/2'"
OTHER_SYSTEM = "UPDATE log_place SET system = system - 1"
MOVES = {"promoted": PROMOTED, "dump": RESTORED, "other system": OTHER_SYSTEM}

CUT_OFF = (
    "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
    "WHERE pid <> pg_backend_pid() AND application_name = 'inventory-grpc'"
)


async def record(url: str, failover: Failover = Failover.REFUSE) -> None:
    async with opened(url, failover=failover) as shop:
        await shop.record(add(1))


def adopt(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["adopt", *arguments])


def adopted(url: str, *options: str) -> str:
    result = adopt(url, "--yes", *options)
    assert result.exit_code == 0, result.stderr
    return result.stdout


def names_of(url: str) -> list[LogName]:
    with closing(Server(url).reader()) as wire:
        return list(log_names.names_of(wire))


def log_id_of(url: str) -> str:
    [(log_id,)] = rows(url, "SELECT log_id FROM log")
    return str(log_id)


async def told(shop: Opened) -> str:
    with pytest.raises(WritesRefused) as refused:
        await shop.record(add(1))
    return str(refused.value)


async def until_fault(shop: Opened, fault: Fault | None) -> None:
    await eventually(lambda: shop.parts.breaker.fault is fault)


def lose_last(url: str) -> None:
    """Leave what a standby has that lacks the last event."""
    change(url, "DELETE FROM events WHERE position = 2")
    rows(url, "DELETE FROM requests RETURNING 1")
    change(url, "UPDATE stocks SET on_hand = 1, version = 1")


def without_names(url: str) -> None:
    """Make the log what an earlier release has left."""
    with psycopg.connect(url) as connection:
        connection.execute("DROP TABLE log_names, log_place")
        connection.execute("UPDATE log SET format = 1")


@contextmanager
def plain_role(url: str) -> Iterator[str]:
    """Make a role that may read and write the tables in the schema, and no more."""
    role = f"plain_{secrets.token_hex(4)}"
    [(schema,)] = rows(url, "SELECT current_schema()")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"CREATE ROLE {role} LOGIN".encode())
        connection.execute(f"GRANT USAGE ON SCHEMA {schema} TO {role}".encode())
        connection.execute(f"GRANT ALL ON ALL TABLES IN SCHEMA {schema} TO {role}".encode())
        try:
            yield url.replace(f"{postgres.USER}@", f"{role}@")
        finally:
            connection.execute(f"DROP OWNED BY {role}".encode())
            connection.execute(f"DROP ROLE {role}".encode())
