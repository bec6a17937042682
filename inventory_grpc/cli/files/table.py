"""Reads the rows of CSV and of JSON lines, as cells in the order of the columns."""

import csv
import json
from collections.abc import Collection, Iterator, Sequence
from itertools import chain
from typing import Any, Final, NamedTuple

from inventory_grpc.cli.files.text import MAX_ROW, BadFile, BadRow, Lines

DELIMITERS: Final = ",;\t"
"""Those that the values of a CSV file may have between them; the first row shows which."""

_NUL: Final = "has a NUL character; remove it"


class Columns(NamedTuple):
    """The columns that a file may have."""

    known: Sequence[str]
    required: Sequence[str]
    passed_over: Collection[str]
    """Those that `export` writes for people, and `import` does not read."""


class Table(NamedTuple):
    columns: Sequence[str]
    """Those of its cells."""
    rows: Iterator[tuple[int, Sequence[Any] | BadRow]]
    """The number of each row as spreadsheets and editors show it, and its cells or its fault."""


def csv_table(lines: Lines, columns: Columns) -> Table:
    """Read CSV, whose first row has the names of the columns.

    Raises:
        BadFile: the names are wrong, or the file cannot be read on.
    """
    csv.field_size_limit(MAX_ROW)
    source = iter(lines)
    first = next(source, "")
    if lines.has_nul:
        raise BadFile(
            "the first row has NUL characters; if the file is UTF-16, add --encoding utf-16-le"
        )
    delimiter = max(DELIMITERS, key=first.count)
    rows = _parsed(lines, csv.reader(chain([first], source), delimiter=delimiter, strict=True))
    names = _names([name.strip().lower() for name in next(rows, ())], columns)
    lines.end_row()
    return Table(names, _csv_rows(lines, rows, len(names)))


def _parsed(lines: Lines, rows: Iterator[list[str]]) -> Iterator[list[str]]:
    try:
        yield from rows
    except csv.Error as error:
        raise BadFile(
            f"row {lines.rows + 1}, which ends on line {lines.lines}: {error}; check its quotation"
            " marks, which are doubled within a value"
        ) from None


def _csv_rows(
    lines: Lines, rows: Iterator[list[str]], width: int
) -> Iterator[tuple[int, Sequence[str] | BadRow]]:
    for found in rows:
        has_nul = lines.end_row()
        if has_nul:
            yield lines.rows, BadRow("", _NUL)
            continue
        cells = [cell.strip() for cell in found]
        if not any(cells):
            continue  # an empty line
        if len(cells) < width or any(cells[width:]):
            yield lines.rows, BadRow("", f"has {len(cells)} values for {width} columns")
        else:  # spreadsheets write empty cells beyond the last column
            yield lines.rows, cells[:width]


def _names(found: list[str], columns: Columns) -> Sequence[str]:
    """Check the names of the columns.

    Raises:
        BadFile: one is missing, unknown, empty or there twice; all of these are named.
    """
    while found and not found[-1]:
        del found[-1]  # spreadsheets write empty cells beyond the last column
    allowed = {*columns.known, *columns.passed_over}
    faults = []
    if missing := [name for name in columns.required if name not in found]:
        faults.append(f"it has no {_listed(missing)}")
    if twice := sorted({name for name in found if name and found.count(name) > 1}):
        faults.append(f"it has {_listed(twice)} more than once")
    if unknown := [name for name in found if name and name not in allowed]:
        faults.append(f"it has {_listed(unknown)}, which is not a column")
    if "" in found:
        faults.append(f"its column {found.index('') + 1} has no name")
    if faults:
        raise BadFile(
            f"the first row must name the columns, and {', '.join(faults)};"
            f" the columns are {', '.join(columns.known)}"
        )
    return found


def _listed(names: Sequence[str]) -> str:
    return ", ".join(repr(name[:40]) for name in names[:10])


def json_table(lines: Lines, columns: Columns) -> Table:
    """Read JSON lines: in each line an object, whose keys are the names of the columns."""
    return Table(columns.known, _json_rows(lines, columns))


def _json_rows(lines: Lines, columns: Columns) -> Iterator[tuple[int, Sequence[Any] | BadRow]]:
    allowed = {*columns.known, *columns.passed_over}
    for line in lines:
        has_nul = lines.end_row()
        if has_nul:
            yield lines.rows, BadRow("", _NUL)
        elif not line.isspace():
            yield lines.rows, _json_cells(line, columns, allowed)


def _json_cells(line: str, columns: Columns, allowed: Collection[str]) -> Sequence[Any] | BadRow:
    try:
        values = json.loads(line, object_pairs_hook=unique)
    except BadRow as twice:
        return twice
    except (ValueError, RecursionError) as error:
        return BadRow("", f"is not JSON: {error}")
    if not isinstance(values, dict):
        return BadRow("", 'is not an object such as {"product_id": "kettle"}; write one a line')
    if unknown := [name for name in values if name not in allowed]:
        return BadRow(unknown[0][:40], "is not a column")
    return [values.get(name, "") for name in columns.known]


def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return the object of JSON that has *pairs*.

    Raises:
        BadRow: a key is there twice.
    """
    values = dict(pairs)
    if len(values) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise BadRow(twice[:40], "is there more than once")
    return values
