"""Commands on the log: print, verify, rebuild, restore and repair."""

import asyncio
import os
import signal
from collections.abc import Callable, Iterator
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Annotated, Final

import typer

from inventory_grpc.application.queries.events import EventFilter
from inventory_grpc.cli.common import (
    DatabaseOption,
    EventTypes,
    Products,
    Stores,
    errors,
    named,
    show,
)
from inventory_grpc.cli.tail import print_events
from inventory_grpc.infrastructure.codec import KIND_BY_NAME
from inventory_grpc.infrastructure.optional import with_driver
from inventory_grpc.infrastructure.read_models import TABLES
from inventory_grpc.infrastructure.sqlite.companions import leftovers
from inventory_grpc.infrastructure.sqlite.connection import Database
from inventory_grpc.infrastructure.sqlite.opening import rebuild_alone
from inventory_grpc.infrastructure.sqlite.repairing import Progress
from inventory_grpc.infrastructure.sqlite.repairing import repair as repair_file
from inventory_grpc.infrastructure.sqlite.restoring import restore as put_back
from inventory_grpc.infrastructure.sqlite.schema import NotOurs
from inventory_grpc.infrastructure.sqlite.verify import verify as differences
from inventory_grpc.server.environment import load, variable
from inventory_grpc.server.logs import printable
from inventory_grpc.server.progress import progress_bar

LAST_POSITION: Final = 2**63 - 1
"""The highest position that a file can hold."""


def events(
    database: DatabaseOption = None,
    after: Annotated[
        int, typer.Option(min=0, max=LAST_POSITION, help="Start after this position.")
    ] = 0,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Continue with new events as they are recorded.")
    ] = False,
    event_type: EventTypes = None,
    product: Products = None,
    store: Stores = None,
    reservation: Annotated[
        list[str] | None, typer.Option(help="Only this reservation; repeatable.")
    ] = None,
) -> None:
    """Print the event log as JSON lines, oldest first; servers may run meanwhile.

    Example: `inventory-grpc events -d shop.db --follow --type StockReserved --store lisbon`
    """
    if unknown := sorted(set(event_type or ()) - set(KIND_BY_NAME)):
        raise typer.BadParameter(
            f"unknown type {unknown[0]}; choose from {', '.join(KIND_BY_NAME)}", param_hint="--type"
        )
    matching = EventFilter(
        frozenset(event_type or ()),
        frozenset(product or ()),
        frozenset(store or ()),
        frozenset(reservation or ()),
    )
    # asyncio's handler would wait for a pipe that nobody reads; this command only reads the file
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    with errors():
        asyncio.run(print_events(named(database), after, matching, follow=follow))


def verify(database: DatabaseOption = None) -> None:
    """Check the hash chain, and every table against the log; exit with 1 if one differs.

    Servers may run meanwhile. Example: `inventory-grpc verify -d shop.db`
    """
    found, tables = 0, set[str]()
    with errors(), progress_bar("checking") as progress:
        for difference in _differences(database, progress.at):
            found += 1
            tables.add(difference.partition(":")[0])
            print(printable(difference))  # noqa: T201  the result
    if found:
        is_file = not isinstance(named(database), str)
        show(f": {_remedy(tables, is_file=is_file)}", red=f"{found} differences")
        raise typer.Exit(1)
    show(f"0 differences in {progress.position:,} events")


def _differences(database: str | None, progress: Callable[[int], None]) -> Iterator[str]:
    """Yield the differences in a file, or in a log in PostgreSQL."""
    place = named(database)
    if isinstance(place, str):
        found: Iterator[str] = with_driver("verify_postgres").verify(place, progress)
        return found
    return differences(Database(place), progress)


def _remedy(tables: AbstractSet[str], *, is_file: bool) -> str:
    """Return the action after differences in *tables*, which may be other parts of the log."""
    if tables <= {*TABLES}:
        first = "stop the servers, " if is_file else ""
        return f"only in tables made from the log: {first}run `inventory-grpc rebuild`"
    backup = "a backup" if is_file else "the database from a backup of PostgreSQL"
    return f"not only in tables made from the log: stop the servers and restore {backup}"


def rebuild(database: DatabaseOption = None) -> None:
    """Rebuild the tables for queries from the log.

    No server may be running on a file; a log of an earlier format in it is upgraded first, which
    cannot be undone. Servers on PostgreSQL may run, and get the new tables in a moment; the role
    needs the right to create a schema.

    Example: `inventory-grpc rebuild -d shop.db`
    """
    with errors(), progress_bar("rebuilding") as progress:
        place = named(database)
        if isinstance(place, str):
            rebuild_there = with_driver("postgres.rebuilding").rebuild
            position: int = rebuild_there(place, progress.of)
        else:
            position = rebuild_alone(Database(place), progress.of)
    show(f"tables rebuilt from {position:,} events")


def repair(database: DatabaseOption = None) -> None:
    """Restore the page checksums after another program, such as sqlite3, has written to the file.

    The file is replaced only if every event, link of the hash chain and table passes its check.
    It stays the same log, so followers continue. The old file is kept under a name with the date.
    No program may have the file open.

    Example: `inventory-grpc repair -d shop.db`
    """
    with errors(), progress_bar("repairing") as progress:
        file = Database(load(database=database).file)
        done = repair_file(file, Progress(progress.of, progress.at))
    if done.pages:
        show(
            f"{done.pages:,} pages of {file.path} had no checksum, as another program leaves them; "
            f"all {done.position:,} events of log {done.log_id} were verified"
        )
    else:
        show(f"every page of {file.path} has its checksum: there is nothing to repair")
    if done.kept:
        show(f"the old file is kept as {done.kept.path}")


def restore(
    source: Annotated[Path, typer.Argument(metavar="BACKUP", help="The copy to restore.")],
    database: DatabaseOption = None,
) -> None:
    """Replace the database with a backup; no program may have the database open.

    Every page and every link of the hash chain is checked first. The old files are kept under a
    name with the date. The restored log has a new id: followers of the old log are refused with
    OTHER_LOG, and must start over. A request recorded after the backup is executed again if it is
    sent again.

    Example: `inventory-grpc restore /backups/monday.db -d shop.db`
    """
    with errors(), progress_bar("copying") as progress:
        target = _target(database)
        done = put_back(Database(source), target, progress.of)
    old = "" if done.kept else ", where there was no database"
    show(f"restored {source} to {target.path}{old}: everything up to position {done.position:,}")
    for kept in done.kept:
        names = ", ".join(file.name for file in kept.files)
        show(f"the old files are kept in {kept.path.parent}: {names}")
    show(
        f"the log has the new id {done.log_id}: followers of the old log are refused with "
        "OTHER_LOG and start over from the beginning"
    )


def _target(database: str | None) -> Database:
    """Return the database to replace; only a path that was named may be without one."""
    is_named = database is not None or bool(os.environ.get(variable("database")))
    target = Database(load(database=database).file)
    if not is_named and not target.path.exists() and not leftovers(target.path):
        raise NotOurs(
            f"there is no database at {target.path}; name the file of the servers with --database"
        )
    return target
