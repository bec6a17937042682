"""The options of import and export. It imports no gRPC, which would slow `--help`."""

from enum import Enum
from pathlib import PurePath
from typing import Final

import typer

STANDARD: Final = "-"
"""The name of standard input and standard output."""


class Format(Enum):
    CSV = "csv"
    JSONL = "jsonl"


class Rows(Enum):
    STOCK = "stock"
    PRODUCTS = "products"
    STORES = "stores"


_SUFFIXES: Final = {
    ".csv": Format.CSV,
    ".tsv": Format.CSV,
    ".txt": Format.CSV,
    ".jsonl": Format.JSONL,
    ".ndjson": Format.JSONL,
}


def format_of(path: str, given: Format | None) -> Format:
    """Return the format that is *given*, or else that of the suffix of *path*.

    Raises:
        typer.BadParameter: there is neither.
    """
    found = given or _SUFFIXES.get(PurePath(path).suffix.lower())
    if found is None:
        raise typer.BadParameter(f"{path!r} ends in none of {', '.join(_SUFFIXES)}: add --format")
    return found
