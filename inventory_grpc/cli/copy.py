"""The command that copies a log to another database, or moves it there."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from inventory_grpc.application import failpoints
from inventory_grpc.application.store import Progress
from inventory_grpc.cli.common import errors, named, show
from inventory_grpc.infrastructure.copying import copy as copy_log
from inventory_grpc.infrastructure.store import open_source, open_target
from inventory_grpc.server.environment import load
from inventory_grpc.server.progress import progress_bar


def copy(
    source: Annotated[str, typer.Argument(metavar="FROM", help="A file, or a URL of PostgreSQL.")],
    target: Annotated[
        str,
        typer.Argument(
            metavar="TO", help="A file that does not exist, or the URL of an empty schema."
        ),
    ],
    *,
    seal: Annotated[
        bool,
        typer.Option(
            "--seal", help="Move the log: FROM refuses writes for good, and TO continues it."
        ),
    ] = False,
) -> None:
    """Copy a log between files and PostgreSQL, with its events, hashes and request ids.

    Servers on FROM may run meanwhile. The copy is a log of its own with a new id, as a backup is.
    With --seal the log moves: once nearly all is copied and checked, FROM is sealed, also for
    running servers, and TO goes on under the same id, for the same followers. That cannot be
    undone; FROM stays readable.

    Run it again after it was stopped or killed, and it continues. Until it is complete, no server
    can use TO.

    Example: `inventory-grpc copy shop.db postgresql:///inventory --seal`
    """
    with errors():
        failpoints.arm(os.environ.get(failpoints.VARIABLE, ""))
        original = named(source)
        place = load(database=target).place
        if isinstance(place, Path):
            place = place.resolve()
        with (
            open_source(original, seals=seal) as opened,
            open_target(place, opened.log_id) as made,
        ):
            copied = copy_log(opened, made, str(place) if seal else None, _bar)
    show(f"{place} has everything up to position {copied.position:,}, as log {copied.log_id}")
    if seal:
        show(f"{original} is sealed: it refuses writes, and names {place} to those who try")


@contextmanager
def _bar(what: str) -> Iterator[Progress]:
    with progress_bar(what) as bar:
        yield bar.of
