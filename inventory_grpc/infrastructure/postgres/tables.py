"""Checks that the tables of a log are those that this release serves, and says what is lacking."""

import logging
from typing import Any, Final

import psycopg

from inventory_grpc.application.store import Unusable
from inventory_grpc.infrastructure.postgres import catalogue, migrations, roles
from inventory_grpc.infrastructure.postgres.catalogue import Item
from inventory_grpc.infrastructure.postgres.read_models import TABLES, VERSION

_log = logging.getLogger(__name__)

_OWNER: Final = "as the owner of the tables, run `inventory-grpc "
MIGRATE: Final = f"{_OWNER}migrate`"
REBUILD: Final = f"{_OWNER}rebuild`"
_LEFT: Final = "it was left as it is"


def check_tables(connection: psycopg.Connection[Any]) -> None:
    """Check the format, all tables, columns, keys and triggers, and the rights of the role.

    An index that is missing, such as while it is made anew, only makes some reads slow.

    Raises:
        Unusable: the log cannot be served; the message says what is lacking, and what to do.
    """
    roles.check_rights(connection, writes=True)
    in_force = check_format(connection)
    there = catalogue.found(connection)
    missing = there.lacking(migrations.expected(in_force))
    needed = [item for item in missing if item.kind != "index"]
    if needed:
        names = ", ".join(map(there.told, needed))
        raise Unusable(f"the log lacks {names}: {_remedy(needed)}; {_LEFT}")
    if missing:
        names = ", ".join(map(there.told, missing))
        _log.warning("the log lacks %s, and some reads are slow: %s", names, MIGRATE)


def _remedy(lacking: list[Item]) -> str:
    made = migrations.made_by_migrations()
    if made.issuperset(lacking):
        return MIGRATE
    if all(item in made or item.table in TABLES for item in lacking):
        return REBUILD
    return "restore the database from a backup of PostgreSQL"


def check_format(connection: psycopg.Connection[Any]) -> int:
    """Return the format of the log, which must be one that this release serves.

    Raises:
        Unusable: it is another one.
    """
    row = connection.execute("SELECT format, read_models FROM log").fetchone()
    in_force, read_models = row or (0, 0)
    formats = migrations.formats()
    if in_force > max(formats) or read_models > VERSION:
        remedy = "use a newer inventory-grpc"
    elif in_force not in formats:
        remedy = f"stop all servers and, {_OWNER}migrate --finish`"
    elif read_models != VERSION:
        remedy = REBUILD
    else:
        return int(in_force)
    raise Unusable(
        f"the log has format {in_force} and read models {read_models}, and this program has "
        f"{max(formats)} and {VERSION}: {remedy}; {_LEFT}"
    )
