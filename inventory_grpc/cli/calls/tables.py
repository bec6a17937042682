"""Makes tables for people: words in place of field names, and no column without a value."""

from collections.abc import Mapping, Sequence
from typing import Final

from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

from inventory_grpc.cli.calls.beside import Columns
from inventory_grpc.cli.calls.rows import COLUMNS, cells, is_number
from inventory_grpc.cli.calls.words import NAMES
from inventory_grpc.server.logs import printable
from inventory_grpc_protos.v1.admin_pb2 import CircuitBreaker

_MORE: Final[Mapping[str, Sequence[str]]] = {
    "Product": ("attributes",),
    "ScopedPolicy": ("settled",),
    "Stock": (
        "states",
        "ring_fenced",
        "safety_stock",
        "backordered",
        "shortfall",
        "low_stock",
        "retired",
    ),
}
"""Fields that are told in a column of notes, where they have a value."""

_OF_EVENTS: Final = ("position", "record_time", "type", "units", "available", "on_hand", "about")
"""The columns of a history, whose product and store are known to those who ask for it."""

_ALL: Final = {("ScopedPolicy", "product_id"), ("ScopedPolicy", "store_id")}
"""Columns in which an empty value means all."""

_NOTES: Final = "notes"
_SAY_THEMSELVES: Final = {"attributes", "states"}
"""Fields whose values need no name: `2 damaged`, `colour red`."""

_BROKEN: Final = {
    "about": 8,
    "groups": 6,
    "lines": 16,
    "name": 8,
    _NOTES: 12,
    "policy": 16,
    "record_time": 10,
}
"""Columns that a narrow terminal may break, and their least width. Others stay whole."""

_GAP: Final = 2


def table_of_rows(rows: Sequence[Message], width: int) -> Table:
    """Return a table with a row for each message; all are of one type.

    One message or cart that is wider than *width* takes a line for each value instead.
    """
    first = rows[0]
    kind = first.DESCRIPTOR.name
    usual = _OF_EVENTS if kind == "Event" else COLUMNS[kind]
    more = _MORE.get(kind, ())
    texts = [cells(row, [*usual, *more]) for row in rows]
    for text in texts:
        text[_NOTES] = ", ".join(filter(None, (_note(name, text[name]) for name in more)))
    shown = [
        name
        for name in (*usual, _NOTES)
        if any(text[name] for text in texts) or (kind, name) in _ALL
    ]
    cells_of = [{name: _cell(kind, name, text[name]) for name in shown} for text in texts]
    if (len(rows) == 1 or kind == "Reservation") and _width(cells_of) > width:
        return _blocks(cells_of)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in shown:
        right = "right" if is_number(first, name) else "left"
        table.add_column(
            _words(name),
            justify=right,  # type: ignore[arg-type]
            overflow="fold",
            no_wrap=name not in _BROKEN,
            min_width=_BROKEN.get(name),
        )
    for one in cells_of:
        table.add_row(*one.values())
    return table


def _width(rows: Sequence[Mapping[str, Text]]) -> int:
    """Return how wide a table of *rows* is in which no line is broken."""
    columns = [
        max([cell_len(_words(name)), *(row[name].cell_len for row in rows)]) for name in rows[0]
    ]
    return sum(columns) + _GAP * (len(columns) - 1)


def _blocks(rows: Sequence[Mapping[str, Text]]) -> Table:
    """Return a line for each value, and an empty one between rows."""
    table = Table.grid(padding=(0, _GAP))
    for number, row in enumerate(rows):
        if number:
            table.add_row()
        for name, text in row.items():
            if text:
                table.add_row(Text(_words(name), "bold"), text)
    return table


def _note(name: str, text: str) -> str:
    """Return the value of a field in words; empty for the usual value."""
    if name in _SAY_THEMSELVES:
        return text
    if name == "settled":
        return "not settled yet" if text == "False" else ""
    if text == "True":
        return _words(name)
    return f"{_words(name)} {text}" if text not in {"", "0", "False"} else ""


def _cell(kind: str, name: str, text: str) -> Text:
    if not text and (kind, name) in _ALL:
        return Text("(all)")
    return Text(printable(_words(text) if name == "policy" else text))


def table_of_fields(message: Message) -> Table:
    """Return a table with each field that has a value, in a line of its own."""
    table = Table.grid(padding=(0, _GAP))
    for name, text in _fields(message).items():
        table.add_row(_words(name), Text(printable(text)))
    return table


def _fields(message: Message) -> Mapping[str, str]:
    """Return the fields that have a value; a duration is in seconds."""
    texts = cells(message, [*message.DESCRIPTOR.fields_by_name])
    for name, field in message.DESCRIPTOR.fields_by_name.items():
        value = getattr(message, name)
        if field.message_type is Duration.DESCRIPTOR:
            texts[name] = f"{round(value.ToTimedelta().total_seconds(), 3) + 0.0:g} s"
        elif isinstance(value, CircuitBreaker):
            texts[name] = ", ".join(text for text in _fields(value).values() if text != "0 s")
    return {name: text for name, text in texts.items() if text}


def table_of_columns(columns: Columns) -> Table:
    """Return a table of *columns*, whose rows have names; one without a value has a dash."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("")
    for name, values in columns.items():
        numbers = all(isinstance(value, int | None) for value in values.values())
        table.add_column(_words(name), justify="right" if numbers else "left")
    for row in next(iter(columns.values())):
        cells_of = [column[row] for column in columns.values()]
        table.add_row(_words(row), *("-" if one is None else f"{one}" for one in cells_of))
    return table


def _words(name: str) -> str:
    return NAMES.get(name, name).replace("_", " ")
