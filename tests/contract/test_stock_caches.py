"""Contract of both levels of the cache of stocks: no answer is older than what is published."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import fields

import pytest

from inventory_grpc.domain.event import Fact
from inventory_grpc.domain.registry import FACTS
from tests.support.brokers import ValkeyServer
from tests.support.stock_caches import Level, answer_to, first_level, second_level
from tests.support.world import KETTLES, TOASTERS


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ValkeyServer]:
    server = ValkeyServer(tmp_path_factory.mktemp("valkey"))
    server.start()
    yield server
    server.kill()


@pytest.fixture(params=["process", "shared"])
async def level(request: pytest.FixtureRequest) -> AsyncIterator[Level]:
    if request.param == "process":
        async with first_level() as opened:
            yield opened
    else:
        server: ValkeyServer = request.getfixturevalue("server")
        await server.flush()
        async with second_level(server.url) as opened:
            yield opened


async def test_a_stock_that_was_never_kept_is_not_found(level: Level) -> None:
    assert await level.find(KETTLES) is None


async def test_a_stock_is_answered_as_it_was_kept(level: Level) -> None:
    level.publish(1, KETTLES)
    level.keep(KETTLES, version=1, as_of=1)
    assert await level.find(KETTLES) == answer_to(KETTLES, 1, 1)
    assert await level.find(TOASTERS) is None


async def test_events_of_other_stocks_leave_it_valid_and_make_it_newer(level: Level) -> None:
    level.publish(1, KETTLES)
    level.keep(KETTLES, version=1, as_of=1)
    level.publish(2, TOASTERS)
    level.publish_elsewhere(TOASTERS, TOASTERS)
    assert await level.find(KETTLES) == answer_to(KETTLES, 1, 4)


async def test_it_is_never_older_than_the_position_that_is_asked_for(level: Level) -> None:
    level.publish(1, KETTLES)
    level.keep(KETTLES, version=1, as_of=1)
    assert await level.find(KETTLES, at_least=1) == answer_to(KETTLES, 1, 1)
    assert await level.find(KETTLES, at_least=2) is None


@pytest.mark.parametrize("kind", FACTS, ids=lambda kind: kind.__name__)
async def test_after_any_event_of_the_stock_no_older_state_is_answered(
    level: Level, kind: type[Fact]
) -> None:
    level.publish(1, KETTLES)
    level.keep(KETTLES, version=1, as_of=1)
    level.publish(2, KETTLES, kind(*([1] * len(fields(kind)))))
    assert await level.find(KETTLES) in (None, answer_to(KETTLES, 2, 2))
    level.keep(KETTLES, version=2, as_of=2)
    assert await level.find(KETTLES) == answer_to(KETTLES, 2, 2)


async def test_after_an_event_of_another_process_it_is_not_answered(level: Level) -> None:
    level.publish(1, KETTLES)
    level.keep(KETTLES, version=1, as_of=1)
    level.publish_elsewhere(TOASTERS, KETTLES, TOASTERS)
    assert await level.find(KETTLES) is None
    level.keep(KETTLES, version=2, as_of=4)
    assert await level.find(KETTLES) == answer_to(KETTLES, 2, 4)


async def test_after_events_that_were_skipped_nothing_is_answered(level: Level) -> None:
    level.publish(1, KETTLES)
    level.keep(KETTLES, version=1, as_of=1)
    level.skip(10_000)
    assert await level.find(KETTLES) is None


async def test_an_older_value_takes_the_place_of_no_newer_one(level: Level) -> None:
    level.publish(1, KETTLES)
    level.publish(2, KETTLES)
    level.keep(KETTLES, version=2, as_of=2)
    assert await level.find(KETTLES) == answer_to(KETTLES, 2, 2)
    level.keep(KETTLES, version=1, as_of=1)
    assert await level.find(KETTLES) == answer_to(KETTLES, 2, 2)
