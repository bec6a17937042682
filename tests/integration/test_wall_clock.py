"""Somebody sets the clock while the service runs: nothing expires early, nothing is revived."""

import asyncio
from pathlib import Path

import pytest

from inventory_grpc.domain.events import Levels
from inventory_grpc.domain.values import Instant, Span, Ttl
from inventory_grpc.infrastructure import clocks
from tests.support.opened import Opened, checked, events, opened
from tests.support.world import DAY, MINUTE, R2, SECOND, add, reserve

SOON = Ttl(Span(100_000))
HOUR = 60 * MINUTE


class SteppingWall:
    """A wall clock that somebody sets."""

    def __init__(self) -> None:
        self._ahead = 0

    def __call__(self) -> Instant:
        return Instant(clocks.wall() + self._ahead)

    def step(self, span: int) -> None:
        self._ahead += span


@pytest.fixture
def wall() -> SteppingWall:
    return SteppingWall()


async def _is_let_go(shop: Opened, position: int) -> None:
    await shop.until(position)
    assert shop.levels() == Levels(9, 0)


async def test_a_day_forward_expires_nothing_early(path: Path, wall: SteppingWall) -> None:
    async with opened(path, wall=wall) as shop:
        await shop.record(add(9))
        held = await shop.record(reserve(2))
        await shop.record(reserve(3, R2, expiration=SOON))
        wall.step(DAY)
        await shop.until(4)
        assert shop.levels() == Levels(9, 2), "the short hold is over, the long one is not"
        await asyncio.sleep(0.1)
        after = await shop.record(add(1))
        assert after.stocks[0].levels == Levels(10, 2)
        assert held.reservation is not None
        assert shop.parts.clock.difference() == pytest.approx(DAY, abs=SECOND)
    assert checked(path).promises["r1"].state == "active"


async def test_an_hour_back_revives_nothing_and_time_never_falls(
    path: Path, wall: SteppingWall
) -> None:
    async with opened(path, wall=wall) as shop:
        await shop.record(add(9))
        await shop.record(reserve(2, expiration=SOON))
        wall.step(-HOUR)
        await _is_let_go(shop, 3)
        await shop.record(add(1))
        assert shop.parts.clock.difference() == pytest.approx(-HOUR, abs=SECOND)
    times = [event.record_time.ToMicroseconds() for event in events(path)]
    assert times == sorted(times)
    assert times[-1] - times[0] < 10 * SECOND
    checked(path)


async def test_a_restart_adopts_a_clock_that_is_ahead(path: Path, wall: SteppingWall) -> None:
    async with opened(path, wall=wall) as shop:
        await shop.record(add(9))
        await shop.record(reserve(2))
        wall.step(DAY)
        await asyncio.sleep(0.05)
        assert shop.parts.head.position == 2
    async with opened(path, wall=wall) as shop:
        await _is_let_go(shop, 3)
        assert abs(shop.parts.clock.difference()) < SECOND
    log = events(path)
    assert log[-1].record_time.ToMicroseconds() - log[0].record_time.ToMicroseconds() > DAY - SECOND
    assert log[-1].occur_time == log[1].stock_reserved.expire_time
    checked(path)


async def test_a_restart_with_a_clock_that_is_behind_goes_on_from_the_log_at_its_own_pace(
    path: Path, wall: SteppingWall
) -> None:
    async with opened(path, wall=wall) as shop:
        await shop.record(add(9))
        await shop.record(reserve(2, expiration=Ttl(Span(300_000))))
    wall.step(-HOUR)
    async with opened(path, wall=wall) as shop:
        await shop.record(add(1))
        async with asyncio.timeout(5):
            await shop.until(4)
    times = [event.record_time.ToMicroseconds() for event in events(path)]
    assert times == sorted(times)
    assert 250_000 < times[-1] - times[1] < 5 * SECOND
    checked(path)


async def test_two_engines_whose_clocks_differ_agree_on_one_time(
    path: Path, wall: SteppingWall
) -> None:
    async with opened(path, wall=wall) as one:
        wall.step(HOUR)
        async with opened(path, wall=wall) as two:
            for _ in range(5):
                await two.record(add(1))
                await one.record(add(1))
            await two.record(reserve(2, expiration=SOON))
            await asyncio.gather(one.until(12), two.until(12))
    times = [event.record_time.ToMicroseconds() for event in events(path)]
    assert times == sorted(times)
    checked(path)
