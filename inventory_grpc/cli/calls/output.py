"""Writes rows: a table on a terminal, JSON lines into a pipe, CSV where it is asked for."""

import csv
import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any, Final

from google.protobuf.message import Message
from rich.console import Console
from rich.table import Table
from rich.text import Text

from inventory_grpc.cli.calls.options import Output
from inventory_grpc.cli.calls.rows import COLUMNS, cells, is_number
from inventory_grpc.cli.calls.words import NAMES
from inventory_grpc.client.plain import plain
from inventory_grpc.server.logs import printable

_WHOLE: Final = {"record_time", "expire_time", "type", "state"}
"""Columns that a narrow terminal does not break."""


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
            Console(highlight=False, markup=False, emoji=False).print(_table(rows))
        case Output.TABLE:
            _write_fields(rows)


def _write_csv(rows: Sequence[Message]) -> None:
    texts = [cells(row) for row in rows]
    if texts:
        writer = csv.DictWriter(sys.stdout, list(texts[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(texts)


def _table(rows: Sequence[Message]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    first = rows[0]
    for column in COLUMNS[first.DESCRIPTOR.name]:
        right = "right" if is_number(first, column) else "left"
        name = NAMES.get(column, column).replace("_", " ")
        table.add_column(name, justify=right, overflow="fold", no_wrap=column in _WHOLE)  # type: ignore[arg-type]
    for row in rows:
        table.add_row(*(Text(printable(text)) for text in cells(row).values()))
    return table


def _write_fields(rows: Sequence[Message]) -> None:
    """Write each field of a message without columns in a line of its own."""
    table = Table.grid(padding=(0, 2))
    for row in rows:
        for name, value in plain(row).items():
            table.add_row(name.replace("_", " "), Text(printable(_line(value))))
    Console(highlight=False, markup=False, emoji=False).print(table)


def _line(value: Any) -> str:  # noqa: ANN401  a plain value
    if isinstance(value, dict):
        return ", ".join(f"{name} {one}" for name, one in value.items())
    return str(value)
