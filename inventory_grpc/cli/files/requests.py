"""Makes requests of rows."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from inventory_grpc.cli.files.identity import Identity
from inventory_grpc.cli.files.kinds import Kind, Reader, text
from inventory_grpc.cli.files.table import Table
from inventory_grpc.cli.files.text import BadFile, BadRow

MAX_COMMANDS: Final = 500
"""The commands of one message; it has one more where its last row makes two."""

SAID: Final = ("reason", "reference", "occur_time")
"""The columns that are about all commands of a row."""

MAX_BYTES: Final = 512 * 1024
"""The size of a message to which no further command is added."""


class Batch(NamedTuple):
    """The commands of one message."""

    requests: Sequence[Any]
    rows: Sequence[int]
    """The number of the row of each request."""


class Tally:
    """Counts the rows by their outcome."""

    def __init__(self) -> None:
        self.rows = 0
        self.empty = 0
        """Those that ask for nothing, with a quantity of 0."""
        self.bad = 0
        self.recorded = 0
        self.before = 0
        """Those that an earlier run has recorded."""
        self.position = 0
        """The last position of those."""


Report = Callable[[int, BadRow], None]
"""Takes the result of a bad row: its number and its fault."""


class Requests:
    """Makes the requests of the rows of one import."""

    def __init__(self, kind: Kind, columns: Sequence[str], name: str, *, dry_run: bool) -> None:
        self._kind = kind
        self._identity = Identity(name)
        self._dry_run = dry_run
        self._fields: list[tuple[int, str, Reader, bool]] = [
            (place, column, kind.read.get(column, text), column in kind.columns.required)
            for place, column in enumerate(columns)
            if column in kind.columns.known
        ]

    def of(self, cells: Sequence[Any]) -> tuple[list[Any], int] | None:
        """Return the requests of a row and their size; None if it asks for nothing.

        Raises:
            BadRow: it cannot be one.
            BadFile: there are too many rows.
        """
        values = {}
        for place, column, read, is_required in self._fields:
            cell = cells[place]
            if cell != "" and cell is not None:
                values[column] = read(column, cell)
            elif is_required:
                raise BadRow(column, "is missing")
        if values.get("quantity") == 0:
            return None
        kind = self._kind
        is_retired = values.pop("state", False) if kind.retire else False
        try:
            request = kind.request(**values)
            content = request.SerializeToString()  # always the same: deliveries have no map
        except (TypeError, ValueError) as error:
            raise BadRow("", str(error)) from None
        if kind.led_by and "request_id" not in values:
            request.request_id = self._identity(values[kind.led_by], content)
        requests = [request]
        if self._dry_run:
            request.dry_run = True  # what it has not made cannot be retired
        elif kind.retire and is_retired:
            requests.append(self._retirement(kind.retire, values))
        return requests, len(content)

    def _retirement(self, retire: Callable[..., Any], values: Mapping[str, Any]) -> Any:  # noqa: ANN401  a request
        """Return the request that retires what the row has made."""
        same = {*SAID, self._kind.columns.required[0]}
        about = {name: value for name, value in values.items() if name in same}
        if own := values.get("request_id"):
            about["request_id"] = f"{own}/retire"
        return retire(**about)


def batches(table: Table, requests: Requests, tally: Tally, report: Report) -> Iterator[Batch]:
    """Yield the requests of *table* in messages; report the rows that are none.

    Raises:
        BadFile: the file cannot be read on; the rows before were yielded.
        OSError: the file cannot be read.
    """
    made: list[Any] = []
    rows: list[int] = []
    size = 0
    fault: Exception | None = None
    try:
        for number, found, length in _made(table, requests, tally, report):
            made += found
            rows += [number] * len(found)
            size += length
            if len(made) >= MAX_COMMANDS or size > MAX_BYTES:
                yield Batch(made, rows)
                made, rows, size = [], [], 0
    except (BadFile, OSError) as error:
        fault = error
    if made:
        yield Batch(made, rows)
    if fault:
        raise fault


def _made(
    table: Table, requests: Requests, tally: Tally, report: Report
) -> Iterator[tuple[int, list[Any], int]]:
    """Yield the number of each row that is one, its requests and their size."""
    for number, cells in table.rows:
        tally.rows += 1
        if isinstance(cells, BadRow):
            report(number, cells)
            continue
        try:
            found = requests.of(cells)
        except BadRow as fault:
            report(number, fault)
            continue
        if found is None:
            tally.empty += 1
        else:
            yield number, *found
