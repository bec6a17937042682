"""The command that copies a database, once or as one of a series."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated, Final

import typer

from inventory_grpc.cli.common import DatabaseOption, errors, existing, show
from inventory_grpc.infrastructure.log.replay import LogInconsistent
from inventory_grpc.infrastructure.sqlite.backup import back_up, nothing_to_check
from inventory_grpc.infrastructure.sqlite.backup_series import BackupSeries, Removal
from inventory_grpc.infrastructure.sqlite.connection import Database
from inventory_grpc.infrastructure.sqlite.verify import verify
from inventory_grpc.server.logs import printable
from inventory_grpc.server.progress import progress_bar

MOST_KEPT: Final = 10_000


def backup(
    target: Annotated[
        Path,
        typer.Argument(help="The file to write, which must not exist; with --keep, a folder."),
    ],
    database: DatabaseOption = None,
    *,
    verified: Annotated[
        bool,
        typer.Option("--verify", help="Verify the copy; if it has a difference, make none."),
    ] = False,
    keep: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=MOST_KEPT,
            help="Name the copy by log and time, and remove all but so many of the newest.",
        ),
    ] = None,
) -> None:
    """Copy the database at one moment; servers may run meanwhile.

    Example: `inventory-grpc backup /backups --keep 7 --verify -d shop.db`
    """
    with errors():
        original = existing(database)
        check = _verify if verified else nothing_to_check
        if keep is None:
            _copy(original, target, check)
            return
        series = BackupSeries.of(original, target)
        _show_left(series.left_unfinished())
        newest = _copy(original, series.next_target(), check)
        _show(series.remove_oldest(newest, keep))
        if others := series.of_other_logs():
            show(
                f"copies of other logs or of an earlier release stay in {target} until you remove "
                f"them: {len(others)}, such as {min(others).name}"
            )
        if series.is_on_the_volume_of_the_database():
            show(
                f" {target} is on the same volume as {original.path}, and is lost with it",
                red="warning:",
            )


def _copy(original: Database, target: Path, check: Callable[[Database], None]) -> Path:
    with progress_bar("copying") as progress:
        copy = back_up(original, target, progress.of, check)
    _show_left(copy.left)
    show(f"{copy.path} has everything up to position {copy.position:,}, as log {copy.log_id}")
    return copy.path


def _show(done: Removal) -> None:
    for file in done.removed:
        show(f"removed {file}")
    for file in done.in_use:
        show(f"{file} is in use; a later backup removes it")
    for file in done.unreadable:
        show(f" {file} cannot be read, and does not count as a copy", red="warning:")


def _show_left(folders: Iterable[Path]) -> None:
    for folder in folders:
        show(f"{folder} was left by a backup that was killed: remove it")


def _verify(copy: Database) -> None:
    """Print the differences of *copy*.

    Raises:
        LogInconsistent: there are some.
    """
    found = 0
    with progress_bar("checking the copy") as progress:
        for difference in verify(copy, progress.at):
            found += 1
            print(printable(difference))  # noqa: T201  the result
    if found:
        raise LogInconsistent(
            f"the copy has {found} differences, and is not kept; so has the database: see "
            "`inventory-grpc verify`"
        )
    show(f"0 differences in {progress.position:,} events of the copy")
