"""Commands on the file itself, with or without a server: print, check, rebuild and copy the log."""

import asyncio
import signal
from pathlib import Path
from typing import Annotated, Final

import typer

from inventory_grpc.application.queries.events import EventFilter
from inventory_grpc.cli.common import DatabaseOption, errors, existing, show
from inventory_grpc.cli.tail import print_events
from inventory_grpc.infrastructure.codec import KIND_BY_NAME
from inventory_grpc.infrastructure.sqlite.backup import back_up
from inventory_grpc.infrastructure.sqlite.connection import Database
from inventory_grpc.infrastructure.sqlite.opening import rebuild_alone
from inventory_grpc.infrastructure.sqlite.repairing import Progress
from inventory_grpc.infrastructure.sqlite.repairing import repair as repair_file
from inventory_grpc.infrastructure.sqlite.restoring import restore as put_back
from inventory_grpc.infrastructure.sqlite.verify import verify as differences
from inventory_grpc.server.environment import load
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
        bool, typer.Option("--follow", "-f", help="Go on with new events as they are recorded.")
    ] = False,
    event_type: Annotated[
        list[str] | None, typer.Option("--type", help="Only these facts, such as StockReserved.")
    ] = None,
    product: Annotated[list[str] | None, typer.Option(help="Only of these products.")] = None,
    store: Annotated[list[str] | None, typer.Option(help="Only of these stores.")] = None,
    reservation: Annotated[
        list[str] | None, typer.Option(help="Only of these reservations.")
    ] = None,
) -> None:
    """Print the event log as JSON lines, oldest first; servers may go on meanwhile."""
    if unknown := sorted(set(event_type or ()) - set(KIND_BY_NAME)):
        raise typer.BadParameter(
            f"unknown fact {unknown[0]}; choose from {', '.join(KIND_BY_NAME)}", param_hint="--type"
        )
    matching = EventFilter(
        frozenset(event_type or ()),
        frozenset(product or ()),
        frozenset(store or ()),
        frozenset(reservation or ()),
    )
    # asyncio's way to end would wait for a pipe that nobody reads; this one only reads the file
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    with errors():
        asyncio.run(print_events(existing(database), after, matching, follow=follow))


def verify(database: DatabaseOption = None) -> None:
    """Check the hash chain and every table against the log; exit with 1 if anything differs."""
    found = 0
    with errors(), progress_bar("checking") as progress:
        for difference in differences(existing(database), progress.at):
            found += 1
            print(printable(difference))  # noqa: T201  the answer
    if found:
        show(": restore a backup, or `rebuild` the tables", red=f"{found} differences")
        raise typer.Exit(1)
    show(f"0 differences in {progress.position:,} events")


def rebuild(database: DatabaseOption = None) -> None:
    """Make the tables that queries read again from the log; no server may be running.

    A log of an earlier format is upgraded first, which goes one way.
    """
    with errors(), progress_bar("rebuilding") as progress:
        position = rebuild_alone(existing(database), progress.of)
    show(f"tables rebuilt from {position:,} events")


def backup(
    target: Annotated[Path, typer.Argument(help="Where to write the copy; must not exist.")],
    database: DatabaseOption = None,
) -> None:
    """Copy the database as it is at one moment; servers may go on meanwhile."""
    with errors(), progress_bar("copying") as progress:
        copy = back_up(existing(database), target, progress.of)
    for folder in copy.left:
        show(f"{folder} is left of a backup that was killed: remove it")
    show(f"{copy.path} holds everything up to position {copy.position:,}, as log {copy.log_id}")


def repair(database: DatabaseOption = None) -> None:
    """Make the file usable again after another program, such as sqlite3, has written to it.

    All or nothing: only if every event, link and table in it proves to be sound. It stays the
    same log, for followers too. The file as it was is kept under a name with the date. Nothing
    may have it open.
    """
    with errors(), progress_bar("repairing") as progress:
        file = Database(load(database=database).database)
        done = repair_file(file, Progress(progress.of, progress.at))
    if done.pages:
        show(
            f"{done.pages:,} pages of {file.path} had no checksum, as another program leaves them; "
            f"all {done.position:,} events of log {done.log_id} are there and proven"
        )
    else:
        show(f"every page of {file.path} has its checksum: there is nothing to repair")
    if done.kept:
        show(f"the file as it was is kept as {done.kept.path}")


def restore(
    source: Annotated[Path, typer.Argument(metavar="BACKUP", help="The copy to restore.")],
    database: DatabaseOption = None,
) -> None:
    """Put a backup in the place of the database; nothing may have it open.

    The copy is checked first: every page, and every link of the chain. The files that it
    replaces are kept under a name with the date. It is a log of its own: followers of the log
    before are refused with OTHER_LOG, and have to start over.
    """
    with errors(), progress_bar("copying") as progress:
        target = Database(load(database=database).database)
        done = put_back(Database(source), target, progress.of)
    show(f"restored {source} to {target.path}: everything up to position {done.position:,}")
    for old in done.kept:
        names = ", ".join(file.name for file in old.files)
        show(f"the files before are kept in {old.path.parent}: {names}")
    show(
        f"the log is a new one, {done.log_id}: followers of the log before are refused with "
        "OTHER_LOG and start over from the beginning"
    )
