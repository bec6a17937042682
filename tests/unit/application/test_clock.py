"""The time of the log never steps or goes back, and all processes of a boot agree on it."""

from collections.abc import Callable

import pytest

from inventory_grpc.application.ledger import clock as log_clock
from inventory_grpc.application.ledger.clock import LogClock, watch_for_steps
from inventory_grpc.application.ports import KeptTime
from inventory_grpc.domain.values import Instant
from inventory_grpc.infrastructure.clocks import namespace_nanos
from tests.support.clock import ManualClock
from tests.support.engine import settle
from tests.support.memory.store import MemoryTransaction
from tests.support.memory.tables import Tables
from tests.support.waiting import ended
from tests.support.world import DAY, MINUTE, NOON, SECOND, later

LONG_AGO = Instant(0)


class File:
    """The state shared by processes, as far as a clock reads it."""

    def __init__(self) -> None:
        self._tables = Tables("memory")

    @property
    def kept(self) -> KeptTime | None:
        return self._tables.kept_time

    def write(self, clock: LogClock, floor: Instant = LONG_AGO) -> Instant:
        return clock.read(MemoryTransaction(self._tables), floor)

    def look(self, clock: LogClock, floor: Instant = LONG_AGO) -> Instant:
        return clock.read(MemoryTransaction(self._tables, writable=False), floor)

    def fail(self, clock: LogClock) -> None:
        """Have a transaction begin, and be rolled back."""
        transaction = MemoryTransaction(self._tables)
        clock.read(transaction, LONG_AGO)
        transaction.take_back()


@pytest.fixture
def file() -> File:
    return File()


@pytest.fixture
def wall() -> ManualClock:
    return ManualClock(boot="first")


def test_it_is_the_walls_time_at_the_start_carried_on(wall: ManualClock) -> None:
    clock = wall.log_clock()
    assert clock.now() == NOON
    wall.go_on(7)
    assert clock.now() == NOON + 7


def test_a_step_of_the_wall_clock_changes_nothing_but_the_difference(wall: ManualClock) -> None:
    clock = wall.log_clock()
    wall.step_wall(-60 * MINUTE)
    assert clock.now() == NOON
    assert clock.difference() == -60 * MINUTE
    wall.step_wall(120 * MINUTE)
    wall.go_on(SECOND)
    assert clock.now() == later(SECOND)
    assert clock.difference() == 60 * MINUTE


@pytest.mark.parametrize("step", [8 * DAY, -8 * DAY])
def test_every_process_of_a_boot_goes_on_with_the_time_of_the_first(
    file: File, wall: ManualClock, step: int
) -> None:
    assert file.write(wall.log_clock()) == NOON
    wall.go_on(SECOND)
    wall.step_wall(step)
    restarted = wall.log_clock()
    assert file.look(restarted) == later(SECOND), "also before it writes"
    assert file.write(restarted) == later(SECOND)
    assert restarted.difference() == step


def test_a_boot_adopts_the_wall_clock_and_never_less_than_what_the_log_has_seen(
    file: File, wall: ManualClock
) -> None:
    file.write(wall.log_clock())
    wall.go_on(SECOND)
    wall.reboot("second")
    wall.step_wall(DAY)
    assert file.write(wall.log_clock(), later(SECOND)) == later(SECOND + DAY)
    wall.reboot("third")
    wall.step_wall(-2 * DAY)
    clock = wall.log_clock()
    assert file.write(clock, later(SECOND + DAY)) == later(SECOND + DAY)
    wall.go_on(SECOND)
    assert file.write(wall.log_clock()) == clock.now() == later(2 * SECOND + DAY)


def test_of_processes_that_start_together_after_a_boot_the_first_to_write_decides(
    file: File, wall: ManualClock
) -> None:
    one = wall.log_clock()
    wall.step_wall(DAY)
    other = wall.log_clock()
    assert (file.look(one), file.look(other)) == (NOON, later(DAY))
    assert file.write(one) == NOON
    assert file.write(other) == NOON


def test_what_was_rolled_back_is_kept_by_the_next_transaction(
    file: File, wall: ManualClock
) -> None:
    clock = wall.log_clock()
    file.fail(clock)
    assert file.kept is None
    file.write(clock)
    assert file.kept == KeptTime("first", NOON)


def test_where_a_system_has_no_id_for_its_boots_a_restart_adopts_the_walls_time(
    file: File,
) -> None:
    wall = ManualClock()
    file.write(wall.log_clock())
    assert file.kept is None
    wall.step_wall(60 * MINUTE)
    assert file.write(wall.log_clock()) == later(60 * MINUTE)


@pytest.mark.parametrize("boot", ["first", ""])
def test_it_never_falls_behind_the_log_and_goes_on_from_there_at_its_own_pace(
    file: File, boot: str
) -> None:
    wall = ManualClock(boot=boot)
    clock = wall.log_clock()
    file.write(clock)
    ahead = later(10 * MINUTE)
    assert file.write(clock, ahead) == ahead
    assert clock.now() == ahead
    wall.go_on(SECOND)
    assert clock.now() == ahead + SECOND
    assert file.write(clock, ahead) == ahead + SECOND
    assert clock.difference() == -10 * MINUTE


def test_who_comes_later_goes_on_from_where_time_was_moved_to(
    file: File, wall: ManualClock
) -> None:
    one, other = wall.log_clock(), wall.log_clock()
    file.write(one)
    file.write(other, later(10 * MINUTE))
    wall.go_on(SECOND)
    assert file.write(wall.log_clock()) == later(10 * MINUTE + SECOND)
    assert file.write(one, later(10 * MINUTE)) == later(10 * MINUTE + SECOND)


def test_a_log_that_is_behind_does_not_hold_it_back(file: File, wall: ManualClock) -> None:
    clock = wall.log_clock()
    assert file.write(clock, Instant(NOON - MINUTE)) == NOON
    assert file.write(clock, NOON) == NOON
    assert clock.now() == NOON


def test_the_file_is_not_looked_at_once_it_was_found_to_agree(
    file: File, wall: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = wall.log_clock()
    file.write(clock)
    file.write(clock)

    def read(_: MemoryTransaction) -> None:
        raise AssertionError

    with monkeypatch.context() as watched:
        watched.setattr(MemoryTransaction, "time", read)
        assert file.write(clock) == NOON
        clock.reread()
        with pytest.raises(AssertionError):
            file.write(clock)


@pytest.fixture
def told(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], str]:
    """Look at the clocks often; return what gives the last of so many lines of the log."""
    monkeypatch.setattr(log_clock, "CHECK_EVERY_SECONDS", 0.0)

    def last(lines: int) -> str:
        assert len(caplog.records) == lines
        return caplog.records[-1].getMessage() if lines else ""

    return last


async def test_a_wall_clock_that_differs_at_the_start_is_told_and_has_not_stepped(
    wall: ManualClock, told: Callable[[int], str]
) -> None:
    clock = wall.log_clock()
    wall.step_wall(-10 * MINUTE)
    async with ended(watch_for_steps(clock)):
        await settle()
    assert "differs from the log's time by -600.000 s" in told(1)
    assert "stepped" not in told(1)


@pytest.mark.parametrize(("days", "lines"), [(29, 0), (3_650, 1)])
async def test_a_boot_long_after_the_last_event_is_told_for_its_clock_may_be_wrong(
    wall: ManualClock, file: File, told: Callable[[int], str], days: int, lines: int
) -> None:
    wall.step_wall(days * DAY)
    clock = wall.log_clock()
    file.look(clock, NOON)
    async with ended(watch_for_steps(clock)):
        await settle()
    assert ("3,650 days after its last event" in told(lines)) == (lines > 0)


async def test_a_step_of_the_wall_clock_is_told_once(
    wall: ManualClock, told: Callable[[int], str]
) -> None:
    clock = wall.log_clock()
    async with ended(watch_for_steps(clock)):
        await settle()
        wall.step_wall(DAY)
        await settle()
    assert "stepped by 86400.000 s" in told(1)


async def test_time_that_another_process_has_moved_ahead_is_told_as_that(
    wall: ManualClock, file: File, told: Callable[[int], str]
) -> None:
    clock = wall.log_clock()
    async with ended(watch_for_steps(clock)):
        await settle()
        file.write(clock, later(MINUTE))
        await settle()
    assert "moved ahead by 60.000 s" in told(1)
    assert "stepped" not in told(1)


class OfServer(MemoryTransaction):
    """A transaction on storage that has a clock."""

    def __init__(self, time: Instant) -> None:
        super().__init__(Tables("memory"))
        self._time = time

    def time(self) -> Instant:
        return self._time

    def keep_time(self, time: KeptTime) -> None:
        raise AssertionError(time)


@pytest.mark.parametrize("boot", ["first", ""])
def test_the_time_of_storage_is_taken_at_each_transaction_and_carried_on(boot: str) -> None:
    wall = ManualClock(boot=boot)
    clock = wall.log_clock()
    for _ in range(3):
        assert clock.read(OfServer(later(DAY)), LONG_AGO) == later(DAY)
        assert (clock.now(), clock.difference()) == (later(DAY), wall.wall() - later(DAY))
        wall.go_on(SECOND)
        assert clock.now() == later(DAY + SECOND)
        assert clock.micros_until(later(DAY + MINUTE)) == MINUTE - SECOND


def test_time_stands_still_until_a_clock_of_storage_that_was_set_back_is_where_it_was(
    wall: ManualClock,
) -> None:
    clock = wall.log_clock()
    assert clock.read(OfServer(NOON), LONG_AGO) == NOON
    assert clock.read(OfServer(later(-MINUTE)), NOON) == NOON
    wall.go_on(MINUTE // 2)
    assert clock.now() == NOON
    assert clock.micros_until(later(1)) == MINUTE // 2 + 1, "there is nothing to do until then"
    wall.go_on(MINUTE)
    assert clock.now() == later(MINUTE // 2)
    assert clock.read(OfServer(later(MINUTE // 2)), NOON) == later(MINUTE // 2)


async def test_a_clock_of_storage_that_was_set_is_told(
    wall: ManualClock, told: Callable[[int], str]
) -> None:
    clock = wall.log_clock()
    clock.read(OfServer(NOON), NOON)
    async with ended(watch_for_steps(clock)):
        await settle()
        clock.read(OfServer(later(MINUTE)), NOON)
        await settle()
    assert "by 60.000 s, to the time of the database server, whose clock was set" in told(1)


async def test_a_clock_of_storage_long_after_the_last_event_is_told(
    wall: ManualClock, told: Callable[[int], str]
) -> None:
    wall.step_wall(3_650 * DAY)
    clock = wall.log_clock()
    clock.read(OfServer(wall.wall()), NOON)
    async with ended(watch_for_steps(clock)):
        await settle()
    assert "3,650 days after its last event; if the clock of the database server" in told(1)


def test_a_time_namespace_does_not_shift_the_machines_clock() -> None:
    assert (
        namespace_nanos("monotonic           0         0\nboottime            0         0\n") == 0
    )
    told = "monotonic          -5         0\nboottime      1000000        25\n"
    assert namespace_nanos(told) == 1_000_000 * 10**9 + 25
    assert namespace_nanos("") == 0
