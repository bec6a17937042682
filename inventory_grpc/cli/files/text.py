"""Reads the text of a file line by line, within bounds, and tells why it cannot."""

import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, Final

from inventory_grpc.cli.files.options import STANDARD

MAX_ROW: Final = 128 * 1024
"""The most characters of one row."""

_MARKS: Final = (
    (b"\xef\xbb\xbf", "utf-8-sig"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)
"""Byte order marks, as spreadsheets write them, and the encodings that they stand for."""

_SHOWN: Final = 20
"""Bytes around a wrong one in an error."""


class BadFile(Exception):
    """The file cannot be read on; the message says where and what to do."""


class BadRow(Exception):
    """One row cannot be recorded; the others can."""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(field, problem)
        self.field = field
        self.problem = problem


class Lines:
    """The lines of a file. A reader says where a row ends, so that rows have a bound."""

    def __init__(self, binary: BinaryIO, encoding: str | None) -> None:
        buffered: Any = binary if isinstance(binary, io.BufferedReader) else _peekable(binary)
        self._binary = buffered
        self.encoding = _marked(buffered) or encoding or "utf-8"
        try:
            self._text = io.TextIOWrapper(buffered, self.encoding, newline="")
        except LookupError:
            raise BadFile(
                f"there is no encoding {self.encoding!r}; name one such as utf-8, utf-16,"
                " latin-1 or cp1252"
            ) from None
        self.rows = 0
        """The rows that have ended."""
        self.lines = 0
        """The lines that were read."""
        self.has_nul = False
        """Whether the row so far has a NUL."""
        self._size = 0

    def __iter__(self) -> Iterator[str]:
        """Yield the lines, with their ends.

        Raises:
            BadFile: a row is too long, or bytes are not text in the encoding.
        """
        try:
            for line in iter(partial(self._text.readline, MAX_ROW), ""):
                self.lines += 1
                self._size += len(line)
                if self._size >= MAX_ROW:
                    raise BadFile(
                        f"row {self.rows + 1} is longer than {MAX_ROW:,} characters; a quotation"
                        " mark may be missing at the end of a value"
                    )
                if "\0" in line:
                    self.has_nul = True
                yield line
        except UnicodeError as error:
            other = "latin-1" if self.encoding.startswith("utf-8") else "utf-8"
            raise BadFile(
                f"after row {self.rows} comes {_wrong(error)}, which is not {self.encoding};"
                f" if the file is in {other}, add --encoding {other}"
            ) from None

    def end_row(self) -> bool:
        """Count a row that was read; return whether it has a NUL."""
        has_nul = self.has_nul
        self.rows += 1
        self._size = 0
        self.has_nul = False
        return has_nul

    def close(self) -> None:
        """Let go of the file, which whoever opened it closes."""
        self._text.detach()

    def bytes_read(self) -> int:
        return self._binary.tell() if self._binary.seekable() else 0


@contextmanager
def opened(path: str) -> Iterator[BinaryIO]:
    """Open the file at *path*, or standard input.

    Raises:
        OSError: it cannot be opened.
    """
    if path == STANDARD:
        yield sys.stdin.buffer
    else:
        with Path(path).open("rb") as file:
            yield file


def _peekable(binary: Any) -> Any:  # noqa: ANN401  the types of raw streams differ
    return io.BufferedReader(binary)


def _marked(binary: Any) -> str | None:  # noqa: ANN401  as above
    first = binary.peek(3)
    return next((encoding for mark, encoding in _MARKS if first.startswith(mark)), None)


def _wrong(error: UnicodeError) -> str:
    if not isinstance(error, UnicodeDecodeError):
        return "a character"
    around = error.object[max(0, error.start - _SHOWN) : error.end + _SHOWN]
    byte = error.object[error.start]
    return f"the byte 0x{byte:02X} (in {around.decode('latin-1')!r})"
