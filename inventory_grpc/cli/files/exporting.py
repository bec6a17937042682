"""Exports a snapshot into a file, which is there as a whole or not at all."""

import csv
import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple, TextIO

from rich.progress import Progress, SpinnerColumn, TextColumn

from inventory_grpc.cli.calls.session import Session
from inventory_grpc.cli.common import screen
from inventory_grpc.cli.files.options import STANDARD, Format, Rows
from inventory_grpc.cli.files.snapshot import Snapshot, take
from inventory_grpc.cli.files.sources import SOURCES, STOCK, Source

_SUFFIX: Final = ".partial"


class Export(NamedTuple):
    path: str
    rows: Rows
    format: Format
    filters: dict[str, list[str]]


def run(session: Session, wanted: Export) -> None:
    """Export the rows as of one position, which each of them names."""
    source = SOURCES[wanted.rows]
    with session.client() as client, closing(Snapshot()) as snapshot:
        with _counter(session) as told:
            position = take(client, source, snapshot, wanted.filters, told)
        with _output(wanted.path) as file:
            count = _write(file, wanted.format, source, snapshot, position)
        session.note(f"{count:,} rows as of position {position}")


def _write(file: TextIO, form: Format, source: Source, snapshot: Snapshot, position: int) -> int:
    """Write the rows; return how many there are."""
    columns = [*source.columns, "position"]
    count = 0

    def counted() -> Iterator[Sequence[Any]]:
        nonlocal count
        for cells in snapshot.rows():
            count += 1
            yield [*cells, position]

    if form is Format.CSV:
        if source is STOCK:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(columns)
            writer.writerows(counted())
        else:  # the names of a catalogue may have line breaks of any kind
            writer = csv.writer(file, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
            writer.writerow(columns)
            writer.writerows(map(_texts, counted()))
    else:
        for cells in counted():
            row = dict(zip(columns, cells, strict=True))
            file.write(f"{json.dumps(row, ensure_ascii=False)}\n")
    return count


def _texts(cells: Sequence[Any]) -> Sequence[Any]:
    """Return *cells* for CSV: an object as JSON, and a list with spaces between its items."""
    texts = []
    for cell in cells:
        if isinstance(cell, dict):
            texts.append(json.dumps(cell, ensure_ascii=False) if cell else "")
        else:
            texts.append(" ".join(cell) if isinstance(cell, list) else cell)
    return texts


@contextmanager
def _output(path: str) -> Iterator[TextIO]:
    """Yield a file that gets its name when all is written.

    Raises:
        OSError: it cannot be written, or there is something else than a file.
    """
    if path == STANDARD:
        yield sys.stdout
        sys.stdout.flush()
        return
    target = Path(path).resolve()
    if target.exists() and not target.is_file():
        raise OSError(f"{path} is not a file; - is standard output")
    partial = target.with_name(f".{target.name}.{os.getpid()}{_SUFFIX}")
    try:
        with partial.open("x", encoding="utf-8", newline="") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def _counter(session: Session) -> Iterator[Any]:
    """Show on a terminal how many rows were read; yield a function that takes their number."""
    is_shown = screen.is_terminal and not session.quiet
    columns = SpinnerColumn(), TextColumn("{task.completed:,} rows")
    with Progress(*columns, console=screen, transient=True, disable=not is_shown) as progress:
        task = progress.add_task("", total=None)
        yield lambda count: progress.update(task, completed=count)
