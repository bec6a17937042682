"""A file is the same after it is reopened; a file of another program is left alone."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from inventory_grpc.application.ports import Fault, StorageError
from inventory_grpc.domain.levels import Levels
from inventory_grpc.domain.reservation import ReservationState
from inventory_grpc.domain.values import Span, Ttl
from inventory_grpc.infrastructure import read_models
from inventory_grpc.infrastructure.sqlite import schema
from inventory_grpc.infrastructure.sqlite.connection import Database
from inventory_grpc.infrastructure.sqlite.schema import NotOurs
from tests.support.opened import change, checked, hash_of, opened, stored, table_of
from tests.support.world import (
    KETTLES,
    ORDER,
    R1,
    R2,
    TOASTERS,
    add,
    commit,
    count,
    extend,
    release,
    reserve,
)

TABLES = [*read_models.TABLES, "streams", "events", "requests", "log"]


async def _live(path: Path) -> None:
    """Have a bit of everything happen."""
    async with opened(path) as shop:
        await shop.record(add(9), "r-add")
        await shop.record(add(4, TOASTERS))
        await shop.record(reserve({KETTLES: 3, TOASTERS: 2}, order=ORDER), "r-reserve")
        await shop.record(commit({KETTLES: 1}))
        await shop.record(reserve(2, R2))
        await shop.record(extend(Ttl(Span(3_600_000_000)), R2))
        await shop.record(release(0, R2))
        await shop.record(count(3, TOASTERS, expected=2))


def _tables(path: Path) -> dict[str, list[tuple[object, ...]]]:
    return {table: table_of(path, table) for table in TABLES}


async def test_everything_is_as_it_was(path: Path) -> None:
    await _live(path)
    before = _tables(path)
    async with opened(path) as shop:
        assert (
            shop.parts.head.position == (await shop.parts.event_log.head()) == len(before["events"])
        )
        assert shop.parts.event_log.log_id == before["log"][0][1]
        assert ((await shop.levels()), (await shop.levels(TOASTERS))) == (
            Levels(8, 2),
            Levels(3, 2),
        )
        held = (await shop.parts.queries.latest().get(R1)).value
        assert (held.state, held.held, held.order_id) == (ReservationState.ACTIVE, 4, ORDER)
        assert (await shop.parts.queries.latest().get(R2)).value.state is ReservationState.RELEASED
        assert (await shop.record(commit())).streams[0].levels == Levels(6, 0)
    after = _tables(path)
    assert after["events"][: len(before["events"])] == before["events"]
    assert checked(path).promises[R1].state == "committed"


async def test_a_file_that_was_closed_is_one_file(path: Path) -> None:
    await _live(path)
    beside = {path.name + ".lock", path.name + ".mark"}
    assert {file.name for file in path.parent.iterdir()} == {path.name, *beside}


async def test_opening_alone_changes_no_event_and_no_table(path: Path) -> None:
    await _live(path)
    before = _tables(path)
    for _ in range(2):
        async with opened(path):
            pass
    assert _tables(path) == before


async def test_a_new_file_is_a_new_log(path: Path) -> None:
    names = set()
    for name in ("a.db", "b.db"):
        async with opened(path.with_name(name)) as shop:
            names.add(shop.parts.event_log.log_id)
            assert shop.parts.head.position == 0
    assert len(names) == 2


async def test_read_models_of_an_older_version_are_made_again(path: Path) -> None:
    await _live(path)
    before = _tables(path)
    change(path, "UPDATE log SET read_models = ?", read_models.VERSION - 1)
    change(path, "UPDATE stocks SET on_hand = on_hand + 1000")
    change(path, "DELETE FROM reservation_lines")
    async with opened(path) as shop:
        assert (await shop.levels()) == Levels(8, 2)
    assert _tables(path) == before


async def test_a_read_model_table_that_an_older_version_did_not_have_is_no_hindrance(
    path: Path,
) -> None:
    await _live(path)
    before = _tables(path)
    with closing(Database(path).writer()) as connection:
        connection.execute("DROP TABLE subject_snapshots")
        connection.execute("ALTER TABLE stocks DROP COLUMN update_time")
        connection.execute("UPDATE log SET read_models = 0")
    async with opened(path):
        pass
    assert _tables(path) == before


def _newer_format(path: Path) -> None:
    with closing(Database(path).writer()) as connection:
        connection.pragma("user_version", schema.FORMAT + 1)


def _newer_read_models(path: Path) -> None:
    change(path, "UPDATE log SET read_models = ?", read_models.VERSION + 1)


def _text(path: Path) -> None:
    path.write_text("kettles: 5\n" * 100, encoding="utf-8")


def _other_database(path: Path) -> None:
    path.unlink()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE events (position INTEGER PRIMARY KEY)")
        connection.commit()


def _stub(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:50])


@pytest.mark.parametrize("make", [_newer_format, _newer_read_models, _text, _other_database, _stub])
async def test_a_file_that_is_not_ours_or_newer_is_refused_and_not_touched(
    path: Path, make: object
) -> None:
    await _live(path)
    assert callable(make)
    make(path)
    before = hash_of(path)
    with pytest.raises(NotOurs, match="left as it is"):
        async with opened(path):
            pass
    assert hash_of(path) == before


async def test_a_log_whose_end_was_changed_is_not_served(path: Path) -> None:
    await _live(path)
    last = stored(path)[-1]
    change(path, "UPDATE events SET event = ? WHERE event = ?", last[:-1] + b"\0", last)
    with pytest.raises(StorageError) as refused:
        async with opened(path):
            pass
    assert refused.value.fault is Fault.DAMAGED


async def test_who_opens_a_file_second_finds_the_log_of_the_first(path: Path) -> None:
    async with opened(path) as one, opened(path) as two:
        assert one.parts.event_log.log_id == two.parts.event_log.log_id
