"""Writes rows: a table on a terminal, JSON lines into a pipe, CSV where it is asked for."""

import csv
import json
import sys
from collections.abc import Mapping, Sequence

from google.protobuf.message import Message
from rich.console import Console

from inventory_grpc.cli.calls.beside import Columns
from inventory_grpc.cli.calls.options import Output
from inventory_grpc.cli.calls.rows import COLUMNS, cells
from inventory_grpc.cli.calls.tables import table_of_columns, table_of_fields, table_of_rows
from inventory_grpc.client.plain import plain


def usual() -> Output:
    """Return the form for a terminal, or for a pipe."""
    return Output.TABLE if sys.stdout.isatty() else Output.JSON


def write(rows: Sequence[Message], output: Output, more: Mapping[str, object]) -> None:
    """Write *rows* to standard output; those in JSON also have *more*."""
    match output:
        case Output.JSON:
            for row in rows:
                print(json.dumps({**plain(row), **more}, ensure_ascii=False))  # noqa: T201  the answer
        case Output.CSV:
            _write_csv(rows)
        case Output.TABLE if rows and rows[0].DESCRIPTOR.name in COLUMNS:
            console = _console()
            console.print(table_of_rows(rows, console.width))
        case Output.TABLE:
            for row in rows:
                _console().print(table_of_fields(row))


def write_columns(columns: Columns) -> None:
    """Write *columns* below a table that was written."""
    _console().print()
    _console().print(table_of_columns(columns))


def _console() -> Console:
    return Console(highlight=False, markup=False, emoji=False)


def _write_csv(rows: Sequence[Message]) -> None:
    texts = [cells(row) for row in rows]
    if texts:
        writer = csv.DictWriter(sys.stdout, list(texts[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(texts)
