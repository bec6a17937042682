"""Several engines on one file are one service: one order, no duplicates, no stale reads."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, aclosing
from pathlib import Path

import pytest

from inventory_grpc.application.failures import PositionAhead
from inventory_grpc.application.ledger import driver
from inventory_grpc.application.outcomes import Outcome
from inventory_grpc.application.queries.events import EventFilter
from inventory_grpc.domain.levels import Levels
from inventory_grpc.domain.refusals import InsufficientStock
from inventory_grpc.domain.values import Never, Span, Ttl
from inventory_grpc.infrastructure.postgres import head_poll as postgres_poll
from inventory_grpc.infrastructure.sqlite import head_poll as sqlite_poll
from inventory_grpc_protos.v1.events_pb2 import Event
from tests.support import postgres
from tests.support.opened import (
    PATIENCE_SECONDS,
    Opened,
    checked,
    events,
    opened,
    requests_of,
    rows,
)
from tests.support.waiting import eventually
from tests.support.world import KETTLES, TOASTERS, add, commit, release, remove, reserve

HEARTBEAT_SECONDS = 30.0
EVERYTHING = EventFilter()
SOON = Ttl(Span(150_000))


@pytest.fixture(params=["postgres", "sqlite"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path | str]:
    """Return the file or the URL of an empty database."""
    if request.param == "sqlite":
        yield tmp_path / "inventory.db"
    else:
        with postgres.empty_schema() as url:
            yield url


@pytest.fixture
async def shops(path: Path | str) -> AsyncIterator[list[Opened]]:
    """Three engines, each of which would be a process of its own."""
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(opened(path)) for _ in range(3)]


async def until_shown(shop: Opened, levels: Levels) -> None:
    """Wait until a query in this engine shows *levels*."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while await shop.levels() != levels:  # noqa: ASYNC110  no event tells
            await asyncio.sleep(0.005)


async def test_they_never_sell_a_unit_twice(shops: list[Opened], path: Path | str) -> None:
    await shops[0].record(add(100))
    asked = [shops[number % 3].ask(reserve(1, f"r{number}"), f"r{number}") for number in range(240)]
    answers = await shops[0].answers(*asked)
    assert sum(isinstance(answer, Outcome) for answer in answers) == 100
    assert sum(isinstance(answer, InsufficientStock) for answer in answers) == 140
    for shop in shops:
        assert (await shop.levels(min_position=101)) == Levels(100, 100)
    assert len(checked(path).promises) == 100


async def test_a_request_sent_to_all_workers_is_done_once(
    shops: list[Opened], path: Path | str
) -> None:
    for number in range(30):
        answers = await asyncio.gather(
            *(shop.record(add(1), f"{number}") for shop in shops for _ in range(2))
        )
        assert len({answer.position for answer in answers}) == 1
        assert [answer.replayed for answer in answers].count(False) == 1
    assert requests_of(events(path)) == {f"{number}": 1 for number in range(30)}
    checked(path)


async def test_a_hold_that_is_over_expires_once(shops: list[Opened], path: Path | str) -> None:
    await shops[0].record(add(100))
    for number in range(60):
        await shops[number % 3].record(reserve(1, f"r{number}", expiration=SOON))
    await asyncio.gather(*(shop.until(61 + 60) for shop in shops))
    for shop in shops:  # one that had a hold left to expire would do that first
        await shop.record(add(1))
    model = checked(path)
    assert model.position == 61 + 60 + 3
    assert {promise.state for promise in model.promises.values()} == {"expired"}
    assert {(await shop.levels(min_position=model.position)) for shop in shops} == {Levels(103, 0)}


async def test_of_a_hold_that_is_over_and_wanted_everywhere_one_engine_disposes(
    shops: list[Opened], path: Path | str
) -> None:
    await shops[0].record(add(1))
    for number in range(5):
        await shops[0].record(reserve(1, f"h{number}", expiration=Ttl(Span(20_000))))
        await asyncio.sleep(0.019)
        wanted = {
            name: shop.ask(reserve(1, name, expiration=Never()))
            for shop, name in zip(shops, (f"{number}a", f"{number}b", f"{number}c"), strict=True)
        }
        answers = await shops[0].answers(*wanted.values())
        won = [
            name
            for name, answer in zip(wanted, answers, strict=True)
            if isinstance(answer, Outcome)
        ]
        assert len(won) <= 1
        for name in won:
            await shops[0].record(release(0, name))
        await shops[0].until(await shops[1].parts.event_log.head())
        await until_shown(shops[0], Levels(1, 0))
    checked(path)


async def test_a_follower_of_one_sees_what_the_others_record_in_order_and_soon(
    shops: list[Opened],
) -> None:
    seen: list[tuple[int, float]] = []

    async def follow() -> None:
        following = shops[0].parts.followers.follow(
            0, EVERYTHING, max_events=64, heartbeat_seconds=HEARTBEAT_SECONDS, stop_at=None
        )
        async with aclosing(following) as stretches:
            async for progress in stretches:
                now = time.monotonic()
                seen.extend((Event.FromString(event).position, now) for event in progress.events)
                if len(seen) >= 60:
                    return

    following = asyncio.create_task(follow())
    recorded: dict[int, float] = {}
    for number in range(60):
        outcome = await shops[1 + number % 2].record(add(1))
        recorded[outcome.position] = time.monotonic()
        await asyncio.sleep(0.002)
    async with asyncio.timeout(PATIENCE_SECONDS):
        await following
    assert [position for position, _ in seen] == list(range(1, 61))
    lags = sorted(at - recorded[position] for position, at in seen)
    assert lags[len(lags) // 2] < HEARTBEAT_SECONDS / 2, "only heartbeats brought news"


async def test_who_names_a_position_reads_at_least_that_new_everywhere(
    shops: list[Opened],
) -> None:
    for units in range(1, 40):
        writer, reader = random.Random(units).sample(shops, 2)
        position = (await writer.record(add(1))).position
        assert (await reader.levels(min_position=position)) == Levels(units, 0)
    with pytest.raises(PositionAhead) as refused:
        (await shops[0].levels(min_position=40))
    assert refused.value.head == 39


async def test_what_is_cached_here_is_forgotten_when_it_changes_there(
    shops: list[Opened],
) -> None:
    one, two, _ = shops
    await one.record(add(5))
    await two.until(1)
    for units in range(6, 12):
        hits = two.parts.answers.hits
        for _ in range(2):
            assert (await two.stocks.get(KETTLES)).stock.on_hand == units - 1
        assert two.parts.answers.hits > hits
        position = (await one.record(add(1))).position
        await two.until(position)
        shown = await two.stocks.get(KETTLES)
        assert (shown.stock.on_hand, shown.as_of_position) == (units, position)


async def test_a_reservation_is_used_where_it_was_not_made(
    shops: list[Opened], path: Path | str
) -> None:
    one, two, three = shops
    await one.record(add(5))
    await one.record(add(5, TOASTERS))
    await two.record(reserve({KETTLES: 3, TOASTERS: 2}))
    await three.record(commit({KETTLES: 1}))
    await one.record(release({TOASTERS: 1}))
    done = await two.record(commit())
    assert [stock.levels for stock in done.streams] == [Levels(2, 0), Levels(4, 0)]
    assert checked(path).promises["r1"].state == "committed"


async def test_an_engine_that_is_far_behind_starts_at_the_head(
    shops: list[Opened], path: Path | str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(driver, "MAX_BEHIND", 10)
    one, two, _ = shops
    await one.record(add(5))
    assert (await two.record(remove(1))).streams[0].levels == Levels(4, 0)
    for _ in range(5):
        await asyncio.gather(*(one.record(add(1)) for _ in range(50)))
        done = await two.record(remove(1), "")
        assert done.streams[0].version == rows(path, "SELECT max(version) FROM events")[0][0]
        assert (await two.levels()) == done.streams[0].levels
    checked(path)


async def test_a_look_at_the_head_that_fails_unexpectedly_is_not_the_last(
    shops: list[Opened], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_: object) -> int:
        raise ValueError("a bug")

    with monkeypatch.context() as broken:
        for poll in (sqlite_poll, postgres_poll):
            broken.setattr(poll, "pause", fail)
        await shops[0].record(add(5))
        await eventually(lambda: caplog.text.count("a bug") >= len(shops))
    await shops[1].until(1)
    assert (await shops[1].levels()) == Levels(5, 0)
