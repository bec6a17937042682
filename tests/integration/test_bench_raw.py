"""The benchmark of SQLite alone writes the very rows that the server wrote."""

import shutil
from contextlib import closing
from pathlib import Path

from inventory_grpc.domain.stock_commands import AddStock
from inventory_grpc.domain.values import Quantity
from inventory_grpc.infrastructure.log.chain import link
from inventory_grpc.infrastructure.sqlite.backup import back_up
from inventory_grpc.infrastructure.sqlite.connection import Database
from scripts.bench import raw
from tests.support.opened import opened, rows, table_of
from tests.support.world import stock

COMMANDS = 23
BY_FIVES = raw.AT_ONCE._replace(size=5)


async def filled(path: Path) -> Path:
    """Have eleven stocks, which came and then moved, and a request for each command.

    Return a copy of the file from before.
    """
    async with opened(path):
        pass
    copy = Path(shutil.copy(path, path.with_name("copy.db")))
    async with opened(path) as process:
        for number in range(COMMANDS):
            command = AddStock(stock(f"kettle-{number % 11}", "lisbon"), Quantity(1))
            await process.record(command, f"delivery-{number}")
    return copy


async def test_all_that_the_server_has_written_is_written_again(path: Path) -> None:
    again = await filled(path)

    assert raw.write_again(path, after=0, head=COMMANDS, copy=again, way=BY_FIVES) > 0

    for table in ("events", "streams", "stocks", "requests"):
        assert table_of(again, table) == table_of(path, table)
        assert table_of(again, table)


async def test_row_by_row_the_same_is_written_with_a_chain_of_its_own(path: Path) -> None:
    again = await filled(path)

    raw.write_again(path, 0, COMMANDS, again, raw.IN_GROUPS._replace(size=5))

    for table in ("streams", "stocks", "requests"):
        assert table_of(again, table) == table_of(path, table)
    assert rows(again, BUT_HASHES) == rows(path, BUT_HASHES)
    previous = b""
    for event, digest in rows(again, "SELECT event, hash FROM events ORDER BY position"):
        previous = link(previous, event)
        assert digest == previous


async def test_only_what_came_after_a_position_is_written_again(path: Path) -> None:
    again = await filled(path)

    raw.write_again(path, after=9, head=20, copy=again, way=BY_FIVES)

    assert rows(again, "SELECT position FROM events ORDER BY position") == [
        (at,) for at in range(10, 21)
    ]
    assert rows(again, "SELECT position FROM requests ORDER BY position") == [
        (at,) for at in range(10, 21)
    ]
    assert rows(again, "SELECT stream FROM streams ORDER BY stream") == [
        (10,),
        (11,),
    ]  # the last two to come


async def test_a_copy_from_before_becomes_what_the_server_has_made_of_the_file(path: Path) -> None:
    await filled(path)
    copy = Path(shutil.copy(path, path.with_name("later.db")))
    async with opened(path) as process:
        for number in range(9):
            command = AddStock(stock(f"kettle-{number + 7}", "lisbon"), Quantity(1))
            await process.record(command, f"later-{number}")

    raw.write_again(path, after=COMMANDS, head=COMMANDS + 9, copy=copy, way=BY_FIVES)

    for table in ("events", "streams", "stocks", "requests"):
        assert table_of(copy, table) == table_of(path, table)
    assert len(rows(copy, "SELECT * FROM events")) == COMMANDS + 9


async def test_a_copy_of_a_file_in_use_is_as_safe_and_as_slow_to_write_as_the_server_s(
    path: Path,
) -> None:
    await filled(path)
    copy = path.with_name("in-use.db")
    async with opened(path) as process:
        back_up(Database(path), copy, lambda _done, _of: None)
        await process.record(AddStock(stock("kettle-3", "lisbon"), Quantity(1)), "later")
        raw.write_again(path, after=COMMANDS, head=COMMANDS + 1, copy=copy, way=BY_FIVES)

    for pragma in ("journal_mode", "page_size"):
        with closing(Database(path).reader()) as ours, closing(Database(copy).reader()) as theirs:
            assert ours.pragma(pragma) == theirs.pragma(pragma)
    assert [*rows(path, INDEXES)] == [*rows(copy, INDEXES)]
    assert checksum_bytes(path) == checksum_bytes(copy) == 8
    assert table_of(copy, "events") == table_of(path, "events")


BUT_HASHES = "SELECT position, stream, version, ordinal, kind, subject, event FROM events"
INDEXES = "SELECT name, sql FROM sqlite_schema ORDER BY name"


def checksum_bytes(path: Path) -> int:
    """Return how many bytes at the end of each page the header keeps for a checksum."""
    return path.read_bytes()[20]
