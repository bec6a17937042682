"""Writes one result for each bad row, as it comes: nothing of it is kept."""

import csv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from inventory_grpc.cli.common import show
from inventory_grpc.cli.files.requests import Report, Tally
from inventory_grpc.cli.files.text import BadRow

MAX_SHOWN: Final = 1_000
"""The most bad rows that are written to standard error; a file has all of them."""

COLUMNS: Final = ("row", "field", "problem")


@contextmanager
def reporting(path: Path | None, imported: str, tally: Tally) -> Iterator[Report]:
    """Yield a function that counts bad rows, and writes them into the file at *path* as CSV.

    Without a file, the first ones go to standard error.

    Raises:
        OSError: the file cannot be written.
        ValueError: it is the file that is imported.
    """
    if path is None:
        yield lambda row, fault: _show(row, fault, tally)
        return
    if path.exists() and Path(imported).exists() and path.samefile(imported):
        raise ValueError(
            f"--rejects names {imported} itself, which would be lost; name another file"
        )
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)

        def write(row: int, fault: BadRow) -> None:
            tally.bad += 1
            writer.writerow([row, fault.field, fault.problem])

        yield write


def _show(row: int, fault: BadRow, tally: Tally) -> None:
    tally.bad += 1
    if tally.bad <= MAX_SHOWN:
        show(f"row {row}: {fault.field}{': ' if fault.field else ''}{fault.problem}")
    if tally.bad == MAX_SHOWN:
        show("further bad rows are only counted; --rejects FILE has all of them")
