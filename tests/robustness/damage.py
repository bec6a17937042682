"""Damage to files at rest: flipped bits, and pages or files that are lost or swapped."""

import random
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Final

from inventory_grpc.infrastructure.sqlite.connection import Database
from tests.robustness.originals import PAGE, Original, beside
from tests.support.opened import rows

HEADER: Final = 100
WAL_HEADER: Final = 32
FRAME_HEADER: Final = 24
FRAME: Final = FRAME_HEADER + PAGE

Damage = Callable[[Original, Path, random.Random], str]
"""A function that damages the files at a path and describes the damage."""

KNOWN_TWICE: Final[Mapping[str, tuple[str, str]]] = {
    "events": ("position", "stream version ordinal kind subject event hash"),
    "streams": ("stream", "kind product_id store_id"),
    "subjects": ("subject", "kind name"),
    "stocks": ("stream", "on_hand reserved version update_time"),
    "reservations": ("reservation", "customer_id state create_time"),
    "reservation_lines": ("reservation, stream", "quantity held"),
    "subject_snapshots": ("subject", "position state"),
}
"""Keys and columns that the log says a second time, or is; requests are known only once."""


def flipped(content: bytes, offset: int, bit: int) -> bytes:
    damaged = bytearray(content)
    damaged[offset] ^= 1 << bit
    return bytes(damaged)


def a_bit_of(what: str) -> Damage:
    """Return damage to one bit of a page of this kind."""

    def damage(original: Original, path: Path, chance: random.Random) -> str:
        page = chance.choice(original.pages[what])
        return _flip(path, page * PAGE + chance.randrange(PAGE), chance)

    return damage


def a_bit_of_the_header(_: Original, path: Path, chance: random.Random) -> str:
    return _flip(path, chance.randrange(HEADER), chance)


def a_value_behind_checksums(_: Original, path: Path, chance: random.Random) -> str:
    """Change a value as a fault in memory would, so that its page agrees with its checksum."""
    table = chance.choice(sorted(KNOWN_TWICE))
    key, columns = KNOWN_TWICE[table]
    column = chance.choice(columns.split())
    query = f"SELECT {column}, {key} FROM {table} WHERE {column} IS NOT NULL"  # noqa: S608  our own tables
    value, *at = chance.choice(rows(path, query))
    changed = _changed(value, chance)
    with closing(Database(path).writer()) as connection:
        connection.pragma("ignore_check_constraints", 1)
        marks = ", ".join("?" * len(at))
        update = f"UPDATE OR IGNORE {table} SET {column} = ? WHERE ({key}) = ({marks})"  # noqa: S608  as above
        connection.execute(update, (changed, *at))
    return f"{table}.{column} of {at}: {value!r} became {changed!r}"


def _changed(value: object, chance: random.Random) -> object:
    match value:
        case int():
            return value ^ 1 << chance.randrange(16)
        case bytes():
            return flipped(value, chance.randrange(len(value)), chance.randrange(8))
        case str():
            place = chance.randrange(len(value))
            return value[:place] + chr(ord(value[place]) ^ 1) + value[place + 1 :]
    raise AssertionError(value)


def a_bit_of_a_frame(_: Original, path: Path, chance: random.Random) -> str:
    """Flip a bit in the WAL, as often in what describes a page as in the page."""
    wal = beside(path, "-wal")
    frames = (wal.stat().st_size - WAL_HEADER) // FRAME
    within = chance.randrange(FRAME_HEADER) if chance.random() < 0.5 else chance.randrange(FRAME)
    return _flip(wal, WAL_HEADER + chance.randrange(frames) * FRAME + within, chance)


def a_bit_of_the_wal_header(_: Original, path: Path, chance: random.Random) -> str:
    return _flip(beside(path, "-wal"), chance.randrange(WAL_HEADER), chance)


def a_wal_that_was_cut_off(original: Original, path: Path, chance: random.Random) -> str:
    return _cut(beside(path, "-wal"), chance.randrange(len(original.files["-wal"])))


def a_wal_that_is_gone(_: Original, path: Path, _chance: random.Random) -> str:
    beside(path, "-wal").unlink()
    return "no WAL"


def an_older_wal(original: Original, path: Path, _chance: random.Random) -> str:
    beside(path, "-wal").write_bytes(original.before["-wal"])
    return "the WAL as it was some commands before"


def an_older_file(original: Original, path: Path, _chance: random.Random) -> str:
    path.write_bytes(original.before[""])
    return "the file as it was some commands before"


def a_file_that_was_cut_off(original: Original, path: Path, chance: random.Random) -> str:
    return _cut(path, chance.randrange(1, len(original.files[""])))


def swapped_pages(original: Original, path: Path, chance: random.Random) -> str:
    """Exchange two pages, each of which agrees with its checksum."""
    one, two = chance.sample(original.pages["any"], 2)
    data = bytearray(original.files[""])
    here, there = slice(one * PAGE, (one + 1) * PAGE), slice(two * PAGE, (two + 1) * PAGE)
    data[here], data[there] = data[there], data[here]
    path.write_bytes(data)
    return f"pages {one} and {two} swapped"


def a_page_as_it_was(original: Original, path: Path, chance: random.Random) -> str:
    """Have one write never have happened, though the disk said it had."""
    data, before = bytearray(original.files[""]), original.before[""]
    places = [slice(begin, begin + PAGE) for begin in range(0, len(before), PAGE)]
    place = chance.choice([place for place in places if data[place] != before[place]])
    data[place] = before[place]
    path.write_bytes(data)
    return f"page {place.start // PAGE} as it was some commands before"


def junk_for_shared_memory(_: Original, path: Path, chance: random.Random) -> str:
    size = chance.choice([1, 136, 32_768, 40_000])
    beside(path, "-shm").write_bytes(chance.randbytes(size))
    return f"{size} random bytes as -shm"


def _flip(path: Path, offset: int, chance: random.Random) -> str:
    bit = chance.randrange(8)
    path.write_bytes(flipped(path.read_bytes(), offset, bit))
    return f"bit {bit} of byte {offset} of {path.name}"


def _cut(path: Path, size: int) -> str:
    with path.open("r+b") as file:
        file.truncate(size)
    return f"{path.name} cut off at {size}"
