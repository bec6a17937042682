"""Options, output and error messages that the commands share."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Final

import apsw
import typer
from rich.console import Console
from rich.text import Text

from inventory_grpc.application import failpoints
from inventory_grpc.application.ledger.loop import LedgerBroken
from inventory_grpc.application.ports import Fault, StorageError
from inventory_grpc.application.store import Unusable
from inventory_grpc.bad_setting import BadSetting
from inventory_grpc.domain.refusals import Refusal
from inventory_grpc.infrastructure.callers_file import BadCallers
from inventory_grpc.infrastructure.log.replay import LogInconsistent
from inventory_grpc.infrastructure.sqlite.connection import Database
from inventory_grpc.infrastructure.sqlite.file_aliases import check_aliases
from inventory_grpc.infrastructure.sqlite.file_set import check_files
from inventory_grpc.infrastructure.sqlite.opening import InUse
from inventory_grpc.infrastructure.sqlite.schema import NotOurs
from inventory_grpc.server.environment import load
from inventory_grpc.server.logs import printable
from inventory_grpc.server.supervisor import WorkerFailed

screen: Final = Console(stderr=True, markup=False, emoji=False, highlight=False, soft_wrap=True)
"""Standard error. Text is shown literally: `[brackets]` in a path are not markup."""

DatabaseOption = Annotated[
    str | None,
    typer.Option(
        "--database",
        "-d",
        help="The database file, or the URL of one in PostgreSQL. "
        "[INVENTORY_DATABASE; else inventory.db]",
    ),
]

EventTypes = Annotated[
    list[str] | None,
    typer.Option("--type", help="Only events of this type, such as StockReserved; repeatable."),
]
Products = Annotated[list[str] | None, typer.Option(help="Only this product; repeatable.")]
Stores = Annotated[list[str] | None, typer.Option(help="Only this store; repeatable.")]


def existing(database: str | None) -> Database:
    path = load(database=database).file
    found = Database(path)  # resolves symbolic links; its WAL lies beside the resolved path
    if not check_files(found.path):
        raise NotOurs(f"there is no database at {path}; name one with --database")
    check_aliases(found.path)
    return found


def named(database: str | None) -> Path | str:
    """Return the path of an existing file, or the URL of a database in PostgreSQL."""
    place = load(database=database).place
    return place if isinstance(place, str) else existing(database).path


def show(text: str, *, red: str = "") -> None:
    """Write one line to standard error, with a prefix in *red*."""
    screen.print(Text.assemble((printable(red), "red"), printable(text)))


def show_error(error: str) -> None:
    show(f" {error}", red="error:")


def _plain(error: Exception) -> str:
    """Return the message of *error*; for a system error, the file and the reason."""
    if isinstance(error, OSError) and error.strerror and isinstance(error.filename, str | Path):
        return f"{error.filename}: {error.strerror}"
    if isinstance(error, StorageError) and error.fault is Fault.FULL:
        return f"{error}; make room there, and run this again"
    return str(error)


def drop_output() -> None:
    """Write no more: the reader of standard output has closed it, as `head` does."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@contextmanager
def errors(say: Callable[[str], None] = show_error) -> Iterator[None]:
    """Report an expected error in one line, and exit with 1."""
    try:
        yield
    except BrokenPipeError:
        drop_output()
    except (
        BadSetting,
        failpoints.BadFailPoint,
        BadCallers,
        Unusable,
        InUse,
        LogInconsistent,
        LedgerBroken,
        StorageError,
        Refusal,
        WorkerFailed,
        OSError,
        apsw.Error,
    ) as error:
        say(_plain(error))
        raise typer.Exit(1) from error
