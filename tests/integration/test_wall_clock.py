"""Steps of the wall clock neither expire a reservation early nor revive one."""

import asyncio
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner

from inventory_grpc.application.ports import KeptTime
from inventory_grpc.cli import app
from inventory_grpc.domain.levels import Levels
from inventory_grpc.domain.values import Instant, Span, Ttl
from inventory_grpc.infrastructure import clocks
from inventory_grpc.infrastructure.sqlite import opening
from inventory_grpc.infrastructure.sqlite.backup import back_up
from inventory_grpc.infrastructure.sqlite.connection import Database
from tests.support.opened import Opened, checked, events, nobody_else_writes, opened
from tests.support.stores import open_sqlite
from tests.support.world import DAY, MINUTE, R2, SECOND, add, reserve

SOON = Ttl(Span(100_000))
HOUR = 60 * MINUTE


class SteppingWall:
    """A wall clock that a test sets."""

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
    assert (await shop.levels()) == Levels(9, 0)


async def test_a_day_forward_expires_nothing_early(path: Path, wall: SteppingWall) -> None:
    async with opened(path, wall=wall) as shop:
        await shop.record(add(9))
        held = await shop.record(reserve(2))
        await shop.record(reserve(3, R2, expiration=SOON))
        wall.step(DAY)
        await shop.until(4)
        assert (await shop.levels()) == Levels(9, 2), "the short hold is over, the long one is not"
        await asyncio.sleep(0.1)
        after = await shop.record(add(1))
        assert after.streams[0].levels == Levels(10, 2)
        assert held.subjects
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


@pytest.mark.parametrize("step", [8 * DAY, -8 * DAY])
async def test_a_restart_continues_the_time_of_the_log_at_any_wall_clock(
    path: Path, wall: SteppingWall, step: int
) -> None:
    """No hold ends early, and no request is forgotten and done twice."""
    async with opened(path, wall=wall) as shop:
        await shop.record(add(9), "delivery-1")
        await shop.record(reserve(2))
        wall.step(step)
    async with opened(path, wall=wall) as restarted:
        assert restarted.parts.clock.difference() == pytest.approx(step, abs=SECOND)
        assert (await restarted.record(add(9), "delivery-1")).replayed
        after = await restarted.record(add(1))
        assert after.streams[0].levels == Levels(10, 2)
    times = [event.record_time.ToMicroseconds() for event in events(path)]
    assert times[-1] - times[0] < 20 * SECOND
    assert checked(path).promises["r1"].state == "active"


async def test_a_second_process_goes_on_with_the_time_of_the_first(
    path: Path, wall: SteppingWall
) -> None:
    async with opened(path, wall=wall) as one:
        await one.record(add(9), "delivery-1")
        await one.record(reserve(2))
        wall.step(8 * DAY)
        async with opened(path, wall=wall) as two:
            assert (await two.record(add(9), "delivery-1")).replayed
            assert (await two.record(add(1))).streams[0].levels == Levels(10, 2)
            assert (await one.record(add(1))).streams[0].levels == Levels(11, 2)
    times = [event.record_time.ToMicroseconds() for event in events(path)]
    assert times[-1] - times[0] < 20 * SECOND
    checked(path)


async def test_a_boot_adopts_a_clock_that_is_ahead(path: Path, wall: SteppingWall) -> None:
    async with opened(path, wall=wall) as shop:
        await shop.record(add(9))
        await shop.record(reserve(2))
    wall.step(DAY)
    async with opened(path, wall=wall, boot=lambda: "next") as shop:
        await _is_let_go(shop, 3)
        assert abs(shop.parts.clock.difference()) < SECOND
    log = events(path)
    assert log[-1].record_time.ToMicroseconds() - log[0].record_time.ToMicroseconds() > DAY - SECOND
    assert log[-1].occur_time == log[1].stock_reserved.expire_time
    checked(path)


async def test_a_boot_with_a_clock_that_is_behind_goes_on_from_the_log_at_its_own_pace(
    path: Path, wall: SteppingWall
) -> None:
    async with opened(path, wall=wall) as shop:
        await shop.record(add(9))
        await shop.record(reserve(2, expiration=Ttl(Span(300_000))))
    wall.step(-HOUR)
    async with opened(path, wall=wall, boot=lambda: "next") as shop:
        await shop.record(add(1))
        await shop.until(4)
    times = [event.record_time.ToMicroseconds() for event in events(path)]
    assert times == sorted(times)
    assert 250_000 < times[-1] - times[1] < HOUR / 2
    checked(path)


async def test_a_copy_on_another_machine_adopts_its_wall_clock(
    path: Path, wall: SteppingWall
) -> None:
    copy = path.with_name("copy.db")
    async with opened(path, wall=wall) as shop:
        await shop.record(add(9))
        back_up(Database(path), copy, lambda _done, _of: None)
    wall.step(HOUR)
    async with opened(copy, wall=wall, boot=lambda: "of another machine") as shop:
        await shop.record(add(1))
        assert abs(shop.parts.clock.difference()) < SECOND
    async with opened(copy, wall=wall) as here:
        assert abs(here.parts.clock.difference()) < SECOND, "what is kept is of the other one"


async def test_a_file_of_an_earlier_release_keeps_its_time_from_the_first_write_on(
    path: Path, wall: SteppingWall
) -> None:
    async with opened(path, wall=wall) as shop:
        await shop.record(add(9))
    with closing(Database(path).writer()) as connection:
        connection.execute("DROP TABLE clock")
    wall.step(HOUR)
    async with opened(path, wall=wall) as shop:
        await shop.record(add(1))
        assert abs(shop.parts.clock.difference()) < SECOND
    wall.step(HOUR)
    async with opened(path, wall=wall) as shop:
        assert shop.parts.clock.difference() == pytest.approx(HOUR, abs=SECOND)
    checked(path)


async def test_whoever_only_reads_keeps_no_time_and_waits_for_no_writer(path: Path) -> None:
    async with open_sqlite(path.parent) as store:
        with nobody_else_writes(path):
            await store.storage.observe(lambda transaction: transaction.keep_time(KeptTime("b", 1)))
        assert await store.storage.observe(lambda transaction: transaction.time()) is None


def _clock(*options: str) -> tuple[int, str]:
    """Run the command; return its exit code, and what it printed."""
    ran = CliRunner().invoke(app, ["clock", *options])
    return ran.exit_code, ran.output


async def test_an_operator_sets_the_time_of_the_log_to_the_wall_clock_while_no_server_runs(
    path: Path, wall: SteppingWall, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "PATIENCE_SECONDS", 0.0)
    wall.step(-HOUR)
    async with opened(path, wall=wall) as shop:
        await shop.record(add(9))
        wall.step(HOUR)
        code, told = await asyncio.to_thread(_clock, "-d", str(path), "--adopt-wall")
        assert (code, "a server is running" in told) == (1, True)
        code, told = await asyncio.to_thread(_clock, "-d", str(path))
        assert code == 0
        assert "3,600 s ahead" in told
        assert "kept since the last boot" in told
    code, told = await asyncio.to_thread(_clock, "-d", str(path), "--adopt-wall")
    assert (code, "of the next server to start" in told) == (0, True)
    async with opened(path, wall=wall) as shop:
        await shop.record(add(1))
        assert abs(shop.parts.clock.difference()) < SECOND
    checked(path)


async def test_an_operator_cannot_set_the_time_of_the_log_back_behind_its_last_event(
    path: Path, wall: SteppingWall
) -> None:
    wall.step(HOUR)
    async with opened(path, wall=wall) as shop:
        await shop.record(add(9))
    wall.step(-HOUR)
    code, told = await asyncio.to_thread(_clock, "-d", str(path), "--adopt-wall")
    assert code == 0
    assert "continues from its last event" in told
    async with opened(path, wall=wall) as shop:
        await shop.record(add(1))
    times = [event.record_time.ToMicroseconds() for event in events(path)]
    assert 0 <= times[1] - times[0] < 10 * SECOND


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
