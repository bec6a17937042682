"""Servers on PostgreSQL that share a cache of stocks: no answer is older than without it."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from inventory_grpc.domain.values import StockId
from inventory_grpc.infrastructure import valkey_cache
from inventory_grpc.presentation import shared_answers
from inventory_grpc.presentation.shared_answers import SharedAnswers
from inventory_grpc.presentation.stock_answers import request_for
from inventory_grpc_protos.v1.queries_pb2 import GetStockRequest, GetStockResponse
from tests.support import postgres
from tests.support.brokers import ValkeyServer
from tests.support.caller import adding, calling
from tests.support.opened import Opened, opened
from tests.support.scraping import page_address, page_of, value_of
from tests.support.server_process import server_process
from tests.support.stock_caches import PATIENCE_SECONDS, Level, be_patient, second_level
from tests.support.world import KETTLES, PORTO_KETTLES, TOASTERS, add, stock

NEVER = 60.0
"""The interval of looking for events of others: this server has heard of nothing."""

STOCKS = [stock(f"kettle-{number}", "lisbon") for number in range(10)]


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ValkeyServer]:
    be_patient(monkeypatch)
    server = ValkeyServer(tmp_path)
    server.start()
    yield server
    server.kill()


@pytest.fixture
def new_log() -> Iterator[Callable[[], str]]:
    with ExitStack() as stack:
        yield lambda: stack.enter_context(postgres.empty_schema())


@pytest.fixture
async def writer(server: ValkeyServer, new_log: Callable[[], str]) -> AsyncIterator[Opened]:
    async with opened(new_log(), shared_cache=server.url) as writer:
        yield writer


@pytest.fixture
async def level(server: ValkeyServer) -> AsyncIterator[Level]:
    async with second_level(server.url) as level:
        yield level


def shared_of(shop: Opened) -> SharedAnswers:
    assert shop.parts.shared is not None
    return shop.parts.shared


async def read_and_keep(shop: Opened, *stocks: StockId) -> list[GetStockResponse]:
    """Read *stocks*, and wait until the shared cache has them."""
    read = [await shop.stocks.get(one) for one in stocks]
    await shared_of(shop).find(request_for(*stocks[-1]), 0)  # what was kept before it is there
    return read


async def test_what_one_server_has_read_another_one_does_not_read(
    writer: Opened, server: ValkeyServer
) -> None:
    await writer.record(add(5))
    async with opened(writer.database, shared_cache=server.url) as reader:
        [first] = await read_and_keep(writer, KETTLES)
        assert await reader.stocks.get(KETTLES) == first
        assert await reader.stocks.get(KETTLES, min_position=1) == first
        shared = shared_of(reader)
        assert (shared.hits, shared.misses, shared.errors) == (1, 0, 0)
        assert reader.parts.answers.hits == 1


async def test_an_answer_of_the_shared_cache_is_stale_only_without_min_position(
    writer: Opened, server: ValkeyServer
) -> None:
    for one in STOCKS:
        await writer.record(add(5, one))
    late = opened(writer.database, shared_cache=server.url, head_poll_seconds=NEVER)
    async with late as reader:
        head = reader.parts.head.position
        await read_and_keep(writer, *STOCKS)
        positions = [(await writer.record(add(1, one))).position for one in STOCKS]
        for one in STOCKS:
            without = await reader.stocks.get(one)
            assert (without.stock.on_hand, without.as_of_position) == (5, head)
        assert shared_of(reader).hits == len(STOCKS), "it was not the shared cache that was stale"
        for one, position in zip(STOCKS, positions, strict=True):
            named = await reader.stocks.get(one, min_position=position)
            assert named.stock.on_hand == 6
            assert named.as_of_position >= position


async def test_without_a_token_a_server_shows_what_it_has_heard_of(
    writer: Opened, server: ValkeyServer
) -> None:
    async with opened(writer.database, shared_cache=server.url) as reader:
        for number in range(1, 10):
            written = await writer.record(add(1))
            await reader.until(written.position)
            assert (await reader.stocks.get(KETTLES)).stock.on_hand == number
            assert (await writer.stocks.get(KETTLES)).stock.on_hand == number


async def test_a_log_is_not_answered_from_what_was_kept_of_another_one(
    writer: Opened, server: ValkeyServer, new_log: Callable[[], str]
) -> None:
    await writer.record(add(5))
    await read_and_keep(writer, KETTLES)
    async with opened(new_log(), shared_cache=server.url) as other:
        await other.record(add(7))
        assert (await other.stocks.get(KETTLES)).stock.on_hand == 7
        assert shared_of(other).hits == 0


async def test_a_log_with_another_id_has_another_place(server: ValkeyServer, level: Level) -> None:
    level.publish(1, KETTLES)
    level.keep(KETTLES, version=1, as_of=1)
    async with second_level(server.url, "log-2") as restored:
        restored.publish(1, KETTLES)
        assert await restored.find(KETTLES) is None
        restored.keep(KETTLES, version=7, as_of=1)
        assert _on_hand(await restored.find(KETTLES)) == 7
        assert _on_hand(await level.find(KETTLES)) == 1


async def test_a_flushed_cache_is_filled_again(writer: Opened, server: ValkeyServer) -> None:
    await writer.record(add(5))
    for _ in range(2):
        async with opened(writer.database, shared_cache=server.url) as reader:
            await read_and_keep(reader, KETTLES)
            assert (shared_of(reader).hits, shared_of(reader).misses) == (1, 1)
            await server.flush()


async def test_a_cache_that_is_killed_or_silent_fails_no_call_and_is_used_again(
    writer: Opened,
    server: ValkeyServer,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    for one in STOCKS:
        await writer.record(add(5, one))
    monkeypatch.setattr(valkey_cache, "REST_SECONDS", 0.0)

    async def one_more() -> SharedAnswers:
        async with opened(writer.database, shared_cache=server.url) as reader:
            read = [await reader.stocks.get(one) for one in STOCKS]
            assert [one.stock.on_hand for one in read] == [5] * len(STOCKS)
            return shared_of(reader)

    server.kill()
    caplog.clear()
    assert (await one_more()).errors == len(STOCKS)
    [said] = [one.message for one in caplog.records if one.name == valkey_cache.__name__]
    assert said.startswith("the shared cache 127.0.0.1 is not asked for a while: ConnectionError(")
    server.start()
    await server.flush()
    await read_and_keep(writer, *STOCKS)
    assert (await one_more()).hits == len(STOCKS)
    server.pause()
    monkeypatch.setattr(valkey_cache, "ANSWER_SECONDS", 0.01)
    monkeypatch.setattr(valkey_cache, "CALL_SECONDS", 0.1)
    try:
        assert (await one_more()).errors == len(STOCKS)
    finally:
        server.resume()
    be_patient(monkeypatch)
    assert (await one_more()).hits == len(STOCKS)


async def test_servers_share_the_cache_and_their_metrics_say_how_often_it_answered(
    server: ValkeyServer, new_log: Callable[[], str], tmp_path: Path
) -> None:
    options = "--shared-cache", server.url, "--metrics-listen", "127.0.0.1:0"
    database = new_log()
    async with (
        server_process(database, tmp_path / "one.log", *options) as one,
        server_process(database, tmp_path / "other.log", *options) as other,
        calling(await one.address()) as writer,
        calling(await other.address()) as reader,
    ):
        metrics = await page_address(other)

        async def looked_up(result: str) -> float:
            page = await page_of(metrics)
            name = "inventory_cache_lookups_total"
            return value_of(page, name, cache="shared", result=result)

        async def read_until(result: str) -> None:
            """Read stocks at both servers until the cache of the other one has this result."""
            before = await looked_up(result)
            async with asyncio.timeout(PATIENCE_SECONDS):
                while await looked_up(result) == before:
                    name = f"kettle-{next(numbers)}"
                    await writer.commands.AddStock(adding(5, name))
                    for caller in (writer, reader):
                        request = GetStockRequest(product_id=name, store_id="lisbon")
                        assert (await caller.queries.GetStock(request)).stock.on_hand == 5
                        await asyncio.sleep(0.05)  # the other one hears of the position

        numbers = itertools.count()
        await read_until("hit")
        server.kill()
        await read_until("error")


async def test_what_was_kept_of_beyond_the_published_head_is_not_used(level: Level) -> None:
    """As after a failover that has lost the last commits."""
    level.publish(1, KETTLES)
    level.keep(KETTLES, version=3, as_of=3)
    assert await level.find(KETTLES) is None


async def test_what_was_kept_before_this_server_knows_all_changes_is_not_used(
    level: Level, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_answers, "MAX_MOVED", 2)
    level.publish(1, KETTLES)
    level.keep(KETTLES, version=1, as_of=1)
    level.publish(2, TOASTERS)
    level.publish(3, TOASTERS)
    assert _on_hand(await level.find(KETTLES)) == 1
    level.publish(4, PORTO_KETTLES)
    level.publish(5, STOCKS[0])
    level.keep(TOASTERS, version=3, as_of=3)
    assert await level.find(KETTLES) is None
    assert _on_hand(await level.find(TOASTERS)) == 3


async def test_a_value_of_another_stock_is_not_answered(level: Level, server: ValkeyServer) -> None:
    level.publish(1, KETTLES)
    level.keep(KETTLES, version=1, as_of=1)
    assert _on_hand(await level.find(KETTLES)) == 1
    async with server.client() as client:
        [name] = await client.keys()
        for value in (b"1:\xff", b"1:", b"1:\x0a\x06kettle\x12\x05porto"):
            await client.set(name, value)
            assert await level.find(KETTLES) is None


def _on_hand(response: GetStockResponse | None) -> int | None:
    return response and response.stock.on_hand
