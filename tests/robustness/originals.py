"""Sound files with a history, to be damaged; and everything that can be read from a file."""

from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import apsw
import pytest

from inventory_grpc.infrastructure import read_models
from inventory_grpc.infrastructure.sqlite import transaction
from inventory_grpc.infrastructure.sqlite.connection import Database
from tests.support.opened import Opened, change, opened, rows, stored
from tests.support.world import (
    KETTLES,
    PORTO_KETTLES,
    TOASTERS,
    add,
    commit,
    release,
    remove,
    reserve,
    stock,
)

PAGE: Final = 4_096
ENDS: Final = ("", "-wal", "-shm", ".mark")
"""The files of a database, by the ends of their names."""


@dataclass(frozen=True)
class Original:
    """A sound database, and what there is to know of it."""

    files: Mapping[str, bytes]
    """Content, by the end of the file's name."""
    before: Mapping[str, bytes]
    """The same as they were some commands earlier."""
    pages: Mapping[str, list[int]]
    """Numbers, from 0, of the pages of the file by what they hold."""
    content: list[tuple[object, ...]]
    head: int

    def lay(self, path: Path) -> None:
        """Put it at *path*, and nothing else."""
        for end in ENDS:
            beside(path, end).unlink(missing_ok=True)
            if end in self.files:
                beside(path, end).write_bytes(self.files[end])


def beside(path: Path, end: str) -> Path:
    return path.with_name(path.name + end)


async def at_rest(path: Path) -> Original:
    """Make one that was closed: everything is in the main file, some pages of it are free."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(transaction, "SNAPSHOT_EVERY", 1)  # so that whatever is folded leaves one
        async with opened(path) as shop:
            await _live(shop, "early")
        before = _files(path)
        async with opened(path) as shop:
            for number in (3, 5, 7, 9):
                await shop.record(release(0, f"early-{number}"))
            await _live(shop, "late")
    change(path, "DELETE FROM requests WHERE request <= 200")
    return _taken(path, before)


async def at_work(path: Path) -> Original:
    """Make one whose last commands are in the WAL alone, as after a kill."""
    async with opened(path) as shop:
        await _live(shop, "early")
    async with opened(path) as shop:
        await shop.record(add(7), "before")
        before = _files(path)
        await _live(shop, "late", carts=8)
        return _taken(path, before)


def _taken(path: Path, before: Mapping[str, bytes]) -> Original:
    now = list(content(Database(path)))
    return Original(_files(path), before, _pages(path), now, len(stored(path)))


async def _live(shop: Opened, when: str, carts: int = 40) -> None:
    """Have a bit of everything happen, over enough products to fill some pages.

    The last command records something: one that does not leaves no mark to miss it by.
    """
    shelves = [KETTLES, TOASTERS, PORTO_KETTLES, *(stock(f"p{n}", "porto") for n in range(40))]
    for turn in range(3):
        adding = [shop.ask(add(40, shelf), f"{when}-{turn}-{shelf}") for shelf in shelves]
        await shop.answers(*adding)
    for number in range(carts):
        name = f"{when}-{number}"
        await shop.record(reserve({shelves[number]: 2, TOASTERS: 1}, name), f"reserve-{name}")
        if number % 4:
            await shop.record(commit({TOASTERS: 1}, name))
        if number % 4 == 2:
            await shop.record(release(0, name), f"release-{name}")
    await shop.record(release(0, f"{when}-2"), f"{when}-nothing-to-do")
    for _ in range(carts // 2):
        await shop.record(remove(1))


def _files(path: Path) -> dict[str, bytes]:
    """Return the files of the database but for the -shm, which holds no data."""
    ends = (end for end in ENDS if end != "-shm" and beside(path, end).exists())
    return {end: beside(path, end).read_bytes() for end in ends}


def _pages(path: Path) -> dict[str, list[int]]:
    tables = {name for (name,) in rows(path, "SELECT name FROM sqlite_schema WHERE type = 'table'")}
    tables.add("sqlite_schema")
    everything = list(range(path.stat().st_size // PAGE))
    found: dict[str, list[int]] = {"any": everything, "index": [], "read model": []}
    used = set()
    for name, number in rows(path, "SELECT name, pageno - 1 FROM dbstat"):
        used.add(number)
        found.setdefault(name if name in tables else "index", []).append(number)
        if name in read_models.TABLES:
            found["read model"].append(number)
    found["free"] = sorted(set(everything) - used)
    return found


def content(database: Database) -> Iterator[tuple[object, ...]]:
    """Yield all there is to read by every way to read it: what tables hold, and what indexes.

    Snapshots are left out: an older one is as good, and `verify` compares them.

    Raises:
        apsw.Error: it cannot be read.
    """
    with closing(database.reader()) as connection:
        schema = "SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY type, name"
        objects: list[Any] = connection.execute(schema).fetchall()
        for kind, name, table, sql in objects:
            if table.endswith("_snapshots"):
                continue
            if kind == "table":
                query = f"SELECT * FROM {table} NOT INDEXED ORDER BY 1, 2"  # noqa: S608  our own tables
            else:
                columns = ", ".join(_columns(connection, name))
                _, where, condition = (sql or "").partition("WHERE")
                query = (
                    f"SELECT {columns} FROM {table} INDEXED BY {name} "  # noqa: S608  as above
                    f"{where}{condition} ORDER BY {columns}"
                )
            yield from connection.execute(query)


def _columns(connection: apsw.Connection, index: str) -> list[str]:
    return [name for _, _, name in connection.execute(f"PRAGMA index_info({index})")]
