"""Imports a file: reads rows, sends commands, and tells what became of them."""

import asyncio
import csv
import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

import typer
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from inventory_grpc.cli.calls.options import Output
from inventory_grpc.cli.calls.session import REFUSED, TROUBLE, Session
from inventory_grpc.cli.common import screen, show_error
from inventory_grpc.cli.files.kinds import KINDS
from inventory_grpc.cli.files.options import Format, Rows
from inventory_grpc.cli.files.rejects import reporting
from inventory_grpc.cli.files.requests import Requests, Tally, batches
from inventory_grpc.cli.files.sending import Sender
from inventory_grpc.cli.files.table import csv_table, json_table
from inventory_grpc.cli.files.text import BadFile, Lines, opened

_TABLES: Final = {Format.CSV: csv_table, Format.JSONL: json_table}


class Import(NamedTuple):
    path: str
    rows: Rows
    format: Format
    encoding: str | None
    name: str
    """That of its request ids."""
    rejects: Path | None
    dry_run: bool


def run(session: Session, wanted: Import) -> None:
    """Import a file; exit with 3 if there were bad rows."""
    tally = Tally()
    with session.errors():
        try:
            with opened(wanted.path) as binary:
                _import(session, wanted, binary, tally)
        except BadFile as fault:
            _write(session, wanted, tally)
            show_error(f"{wanted.path}: {fault}")
            session.note("mend it and run this again: no row is recorded twice")
            raise typer.Exit(TROUBLE) from None
    _write(session, wanted, tally)
    if wanted.dry_run:
        session.note("this was a dry run: nothing was recorded")
    if tally.before:
        session.note(
            f"{tally.before:,} rows were recorded before, as {wanted.name!r}; if this is another"
            " delivery, import it under another --name"
        )
    if tally.bad:
        raise typer.Exit(REFUSED)


def _import(session: Session, wanted: Import, binary: BinaryIO, tally: Tally) -> None:
    with (
        closing(Lines(binary, wanted.encoding)) as lines,
        reporting(wanted.rejects, wanted.path, tally) as report,
        _bar(session, binary, lines, tally) as answered,
    ):
        kind = KINDS[wanted.rows]
        table = _TABLES[wanted.format](lines, kind.columns)
        requests = Requests(kind, table.columns, wanted.name, dry_run=wanted.dry_run)
        rows = batches(table, requests, tally, report)

        async def send() -> None:
            async with session.loop_client() as client:
                sender = Sender(client, session.timeout, tally, report)
                await sender.send(rows, answered, session.note)

        asyncio.run(send())


@contextmanager
def _bar(
    session: Session, binary: BinaryIO, lines: Lines, tally: Tally
) -> Iterator[Callable[[], None]]:
    """Show a bar on a terminal; yield a function that moves it."""
    columns = (TextColumn("{task.fields[rows]} rows"), BarColumn(), TaskProgressColumn())
    is_shown = screen.is_terminal and not session.quiet
    with Progress(
        *columns, TimeRemainingColumn(), console=screen, transient=True, disable=not is_shown
    ) as progress:
        task = progress.add_task("", total=_size(binary), rows="0")

        def move() -> None:
            done = tally.recorded + tally.before + tally.empty + tally.bad
            progress.update(task, completed=lines.bytes_read(), rows=f"{done:,}")

        yield move if is_shown else lambda: None


def _size(binary: BinaryIO) -> int | None:
    """Return the size of a file; None for a pipe."""
    with suppress(OSError):
        return os.fstat(binary.fileno()).st_size or None
    return None


def _write(session: Session, wanted: Import, tally: Tally) -> None:
    """Write the summary to standard output."""
    counts = {
        "rows": tally.rows,
        "recorded": tally.recorded,
        "recorded_before": tally.before,
        "empty": tally.empty,
        "bad": tally.bad,
        "position": tally.position,
    }
    match session.output:
        case Output.JSON:
            print(json.dumps({**counts, "name": wanted.name, "dry_run": wanted.dry_run}))  # noqa: T201  the answer
        case Output.CSV:
            csv.writer(sys.stdout, lineterminator="\n").writerows([[*counts], [*counts.values()]])
        case Output.TABLE:
            for name, count in counts.items():
                print(f"{name.replace('_', ' '):16}{count:>14,}")  # noqa: T201  as above
