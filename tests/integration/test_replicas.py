"""Reads from a standby: lists may be old, history is whole, and nothing else is read there."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from typing import Any, Final, NamedTuple

import pytest

from inventory_grpc.application.ports import Fault, Reading, StorageError
from inventory_grpc.application.queries.events import EventFilter
from inventory_grpc.application.queries.stock import StockQuery
from inventory_grpc.bad_setting import BadSetting
from inventory_grpc.infrastructure.postgres import replicas
from inventory_grpc.infrastructure.postgres.readers import Readers
from inventory_grpc.infrastructure.postgres.replicas import SameLog
from inventory_grpc.infrastructure.postgres.seen import SeenLog
from inventory_grpc.infrastructure.postgres.server import Server
from inventory_grpc.infrastructure.postgres.wire import Wire
from inventory_grpc.settings import Settings
from tests.support import postgres
from tests.support.opened import Opened, change, opened
from tests.support.postgres_server import (
    SECONDS,
    PostgresServer,
    own_folder,
    own_server,
    url_of,
)
from tests.support.world import KETTLES, add

ALL: Final = EventFilter()


class Shop(NamedTuple):
    """A server with a standby, on which it has been seen to read."""

    opened: Opened
    primary: PostgresServer
    standby: PostgresServer
    asked: list[str]
    """The server that each scan has asked."""

    async def add(self) -> int:
        """Add a kettle, and return the position."""
        return (await self.opened.record(add(1))).position

    def pause(self) -> None:
        """Have the standby show nothing new."""
        self.standby.query("SELECT pg_wal_replay_pause()")
        self.standby.wait_for("SELECT pg_get_wal_replay_pause_state() = 'paused'")

    def reach(self, position: int) -> None:
        """Wait until the standby has an event."""
        self.standby.wait_for(f"SELECT max(position) >= {position} FROM events")  # noqa: S608  a number

    async def kettles(self, min_position: int = 0) -> tuple[int, int]:
        """Return the kettles in the list of stocks, and the position of the list."""
        found = await self.opened.parts.queries.latest(min_position).read(StockQuery())
        [stock] = found.value.rows
        return stock.levels.on_hand, found.as_of

    async def pages(self, upto: int) -> list[int]:
        """Return the positions at which a follower's page of all events ends."""
        page = await self.opened.parts.event_log.page(0, upto, ALL, 100, 100_000)
        return [len(page.events), page.scanned]

    async def asks_a_replica_again(self) -> None:
        """Wait until a list comes from a replica."""
        async with asyncio.timeout(SECONDS):
            while self.asked[-1:] != ["replica"]:
                await self.kettles()
                await asyncio.sleep(0.02)

    async def past(self, position: int) -> Reading[Any]:
        snapshot = await self.opened.parts.queries.at_position(position)
        return await snapshot.get(KETTLES)


@pytest.fixture
async def shop(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Shop]:
    asked: list[str] = []
    scan = Readers.scan

    async def noted(self: Readers, work: Callable[[Wire], Any]) -> Any:  # noqa: ANN401
        answer = await scan(self, work)
        asked.append("replica" if self._server.is_replica else "primary")
        return answer

    monkeypatch.setattr(Readers, "scan", noted)
    monkeypatch.setattr(replicas, "REST_SECONDS", 0.05)
    with own_server() as primary, own_folder() as folder:
        async with opened(primary.url) as first:
            await first.record(add(1))
        standby = primary.standby(folder)
        async with opened(primary.url, database_replicas=standby.url) as shop:
            yield Shop(shop, primary, standby, asked)


async def test_a_list_is_as_old_as_a_replica_unless_its_caller_names_a_position(
    shop: Shop,
) -> None:
    shop.reach(1)
    shop.pause()
    position = await shop.add()
    assert await shop.kettles() == (1, 1)
    assert await shop.kettles(min_position=position) == (2, position)
    assert await shop.kettles(min_position=1) == (1, 1)
    assert shop.asked == ["replica", "primary", "replica"]
    stock = (await shop.opened.parts.queries.latest().get(KETTLES)).value
    assert stock.levels.on_hand == 2, "a single stock is read from the primary"


async def test_history_is_read_from_a_replica_that_has_all_of_it(shop: Shop) -> None:
    log = shop.opened.parts.event_log
    position = await shop.add()
    shop.reach(position)
    shop.pause()
    newest = await shop.add()
    assert await shop.pages(position) == [2, 2]
    assert (await shop.past(position)).value.levels.on_hand == 2
    assert (await log.search(ALL, 0, newest, 10, newest_first=True)).rows
    assert shop.asked == ["replica"] * 3
    assert await shop.pages(newest) == [3, 3]
    assert (await shop.past(newest)).value.levels.on_hand == 3
    found = await log.search(ALL, 0, newest + 1, 10, newest_first=True)
    assert [at for at, _ in found.rows] == [3, 2, 1]
    assert shop.asked[3:] == ["primary"] * 3


async def test_without_a_replica_the_primary_answers_until_one_is_there(shop: Shop) -> None:
    assert await shop.kettles() == (1, 1)
    shop.standby.kill()
    position = await shop.add()
    for _ in range(3):
        assert await shop.kettles() == (2, position)
    assert shop.asked == ["replica", *["primary"] * 3]
    shop.standby.start()
    shop.reach(position)
    await shop.asks_a_replica_again()


async def test_a_replica_that_was_promoted_is_not_asked_any_more(shop: Shop) -> None:
    assert await shop.kettles() == (1, 1)
    shop.standby.promote()
    position = await shop.add()
    for _ in range(3):
        assert await shop.kettles() == (2, position)
    assert shop.asked == ["replica", *["primary"] * 3]


@pytest.mark.parametrize("lose", [PostgresServer.kill, PostgresServer.promote])
async def test_of_several_replicas_one_that_is_left_answers(
    shop: Shop, lose: Callable[[PostgresServer], None]
) -> None:
    with own_folder() as folder:
        second = shop.primary.standby(folder)
        replicas = url_of(shop.standby, second)
        async with opened(shop.primary.url, database_replicas=replicas) as other:
            both = shop._replace(opened=other)
            assert await both.kettles() == (1, 1)
            lose(shop.standby)
            position = await both.add()
            both._replace(standby=second).reach(position)
            shop.asked.clear()
            await both.asks_a_replica_again()
            assert await both.kettles() == (2, position)
            second.kill()
            assert await both.kettles() == (2, position)
            assert shop.asked[-2:] == ["replica", "primary"]


@pytest.mark.parametrize(
    "change_of_replica",
    ["UPDATE log SET log_id = 'another'", "UPDATE events SET hash = event WHERE position = 1"],
)
async def test_a_replica_of_another_log_is_refused(change_of_replica: str) -> None:
    with postgres.empty_schema() as url, postgres.empty_schema() as other:
        async with opened(url) as shop, opened(other):
            await shop.record(add(1))
        schema = url.rpartition("%3D")[2]
        change(other, f"UPDATE log SET log_id = (SELECT log_id FROM {schema}.log)")  # noqa: S608  our own
        change(other, f"INSERT INTO events SELECT * FROM {schema}.events")  # noqa: S608  our own
        seen = SeenLog()
        with closing(Server(url).reader()) as wire:
            seen.check(wire)
        same = SameLog(Server(url), seen)
        with closing(Server(other).reader()) as replica:
            same.check(replica)
            change(other, change_of_replica)
            with pytest.raises(StorageError) as caught:
                same.check(replica)
        assert caught.value.fault is Fault.REWOUND


@pytest.mark.parametrize(
    ("database", "replica", "why"),
    [
        ("inventory.db", "postgresql:///x", "only a database in PostgreSQL has replicas"),
        ("postgresql:///x", "other.db", "is not the URL"),
        ("postgresql:///x", "postgresql://ana:secret@db/x", "must not have a password"),
    ],
)
def test_replicas_need_urls_beside_a_url(database: str, replica: str, why: str) -> None:
    with pytest.raises(BadSetting, match=why) as caught:
        Settings(database=database, database_replicas=replica)
    assert "secret" not in str(caught.value)
