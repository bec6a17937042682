"""Reads the row with the log id from the bytes of its page, before SQLite opens a file.

The row is alone on the second page of every database file. One of the first commits of a WAL has
a copy of that page, and the first copy has a `probe` one higher than at the last checkpoint that
emptied a WAL into the file (see `Checkpoints.may_begin_wal`). So a WAL identifies the log that it
continues, and its starting point.
"""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

PAGE_NUMBER: Final = 2

MAX_FRAMES: Final = 20_000
"""The frames of a WAL that are scanned; the copy is near its start, or missing in old releases."""

_DATABASE_HEADER: Final = 100
_WAL_HEADER: Final = 32
_FRAME_HEADER: Final = 24
_WAL_MAGIC: Final = (0x377F0682, 0x377F0683)
_TABLE_LEAF: Final = 0x0D
_COLUMNS: Final = 5
_FIRST_TEXT: Final = 13
_INTEGER_SIZES: Final = {0: 0, 1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8, 8: 0, 9: 0}
"""The size of an integer in bytes by its serial type; NULL, 0 and 1 have no bytes."""


class LogRow(NamedTuple):
    log_id: str
    probe: int


def row_of_file(path: Path) -> LogRow | None:
    """Return the row in the database file, without its WAL, if there is one."""
    with path.open("rb") as file:
        size = _page_size(int.from_bytes(file.read(_DATABASE_HEADER)[16:18], "big"))
        file.seek(size * (PAGE_NUMBER - 1))
        return parse(file.read(size))


def row_of_wal(path: Path) -> LogRow | None:
    """Return the first valid copy of the row in a WAL, if there is one."""
    with suppress(FileNotFoundError), path.open("rb") as wal:
        header = wal.read(_WAL_HEADER)
        if len(header) < _WAL_HEADER or _uint32(header, 0) not in _WAL_MAGIC:
            return None  # SQLite treats such a WAL as empty
        size = _page_size(_uint32(header, 8))
        offset = _WAL_HEADER
        for _ in range(MAX_FRAMES):
            frame = wal.read(_FRAME_HEADER)
            if len(frame) < _FRAME_HEADER or frame[8:16] != header[16:24]:
                return None  # the remaining frames belong to an earlier WAL
            if _uint32(frame, 0) == PAGE_NUMBER:
                return parse(wal.read(size))
            offset += _FRAME_HEADER + size
            wal.seek(offset)
    return None


def parse(page: bytes) -> LogRow | None:
    """Return the row on *page*, a table leaf; None if the page has another format."""
    try:
        return _parse(page)
    except (IndexError, UnicodeDecodeError):
        return None


def _parse(page: bytes) -> LogRow | None:
    if page[0] != _TABLE_LEAF or int.from_bytes(page[3:5], "big") != 1:
        return None
    cell = _Varints(page, int.from_bytes(page[8:10], "big"))
    next(cell), next(cell)  # the size of the record, and its key
    start = cell.offset
    end_of_types = start + next(cell)
    types = []
    while cell.offset < end_of_types:
        types.append(next(cell))
    if len(types) != _COLUMNS or types[1] < _FIRST_TEXT or not types[1] % 2:
        return None
    text = (types[1] - _FIRST_TEXT) // 2
    before = sum(_INTEGER_SIZES.get(kind, 0) for kind in types[2:4])
    log_id = page[end_of_types : end_of_types + text].decode("ascii")
    place = end_of_types + text + before
    return LogRow(log_id, _integer(types[4], page[place:]))


def _integer(kind: int, data: bytes) -> int:
    if kind == 9:  # noqa: PLR2004  the serial type of the constant 1
        return 1
    return int.from_bytes(data[: _INTEGER_SIZES.get(kind, 0)], "big", signed=True)


class _Varints(Iterator[int]):
    """Decodes variable-length integers of 7 bits a byte; the last byte has no eighth bit."""

    def __init__(self, data: bytes, offset: int) -> None:
        self._data = data
        self.offset = offset

    def __next__(self) -> int:
        value = 0
        while True:
            byte = self._data[self.offset]
            self.offset += 1
            value = value << 7 | byte & 0x7F
            if byte < 0x80:  # noqa: PLR2004  the eighth bit
                return value


def _page_size(stored: int) -> int:
    return 65_536 if stored == 1 else stored


def _uint32(data: bytes, offset: int) -> int:
    return int.from_bytes(data[offset : offset + 4], "big")
