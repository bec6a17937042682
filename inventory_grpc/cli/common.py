"""Shared by all commands: the screen, progress bars, options, and errors in one line."""

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
from inventory_grpc.application.ports import StorageError
from inventory_grpc.domain.refusals import Refusal
from inventory_grpc.infrastructure.callers_file import BadCallers
from inventory_grpc.infrastructure.sqlite.belonging import check_files
from inventory_grpc.infrastructure.sqlite.connection import Database
from inventory_grpc.infrastructure.sqlite.one_name import check_name
from inventory_grpc.infrastructure.sqlite.opening import InUse
from inventory_grpc.infrastructure.sqlite.replay import LogInconsistent
from inventory_grpc.infrastructure.sqlite.schema import NotOurs
from inventory_grpc.server.environment import load
from inventory_grpc.server.logs import printable
from inventory_grpc.server.supervisor import WorkerFailed
from inventory_grpc.settings import BadSetting

screen: Final = Console(stderr=True, markup=False, emoji=False, highlight=False, soft_wrap=True)
"""Standard error. Text is shown as it is: `[brackets]` in a path are no markup."""

DatabaseOption = Annotated[
    Path | None,
    typer.Option("--database", "-d", help="The file. [INVENTORY_DATABASE; else inventory.db]"),
]


def existing(database: Path | None) -> Database:
    path = load(database=database).database
    found = Database(path)  # from here on it is the file's own name, beside which its WAL is
    if not check_files(found.path):
        raise NotOurs(f"there is no database at {path}; name one with --database")
    check_name(found.path)
    return found


def show(text: str, *, red: str = "") -> None:
    """Write one line to standard error, after some words in *red*."""
    screen.print(Text.assemble((printable(red), "red"), printable(text)))


def show_error(error: str) -> None:
    show(f" {error}", red="error:")


def _plain(error: Exception) -> str:
    """Return what is wrong with which file, without the number that Python puts before it."""
    if isinstance(error, OSError) and error.strerror and isinstance(error.filename, str | Path):
        return f"{error.filename}: {error.strerror}"
    return str(error)


@contextmanager
def errors(say: Callable[[str], None] = show_error) -> Iterator[None]:
    """Say in one line what is wrong and what to do about it; exit with 1."""
    try:
        yield
    except BrokenPipeError:
        # whoever read our lines has had enough, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (
        BadSetting,
        failpoints.BadFailPoint,
        BadCallers,
        NotOurs,
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
