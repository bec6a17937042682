"""The time of the log: it neither steps nor goes back."""

from inventory_grpc.domain.values import Instant
from tests.support.clock import ManualClock
from tests.support.world import MINUTE, NOON, SECOND, later


def test_it_is_the_walls_time_at_the_start_carried_on() -> None:
    wall = ManualClock()
    clock = wall.log_clock()
    assert clock.now() == NOON
    wall.go_on(7)
    assert clock.now() == NOON + 7


def test_a_step_of_the_wall_clock_changes_nothing_but_the_difference() -> None:
    wall = ManualClock()
    clock = wall.log_clock()
    wall.step_wall(-60 * MINUTE)
    assert clock.now() == NOON
    assert clock.difference() == -60 * MINUTE
    wall.step_wall(120 * MINUTE)
    wall.go_on(SECOND)
    assert clock.now() == later(SECOND)
    assert clock.difference() == 60 * MINUTE


def test_a_restart_adopts_the_walls_time() -> None:
    wall = ManualClock()
    wall.log_clock()
    wall.step_wall(60 * MINUTE)
    assert wall.log_clock().now() == later(60 * MINUTE)


def test_it_never_falls_behind_the_log_and_goes_on_from_there_at_its_own_pace() -> None:
    wall = ManualClock()
    clock = wall.log_clock()
    ahead = later(10 * MINUTE)
    assert clock.now(ahead) == ahead
    assert clock.now() == ahead
    wall.go_on(SECOND)
    assert clock.now() == ahead + SECOND
    assert clock.now(ahead) == ahead + SECOND
    assert clock.difference() == -10 * MINUTE


def test_a_log_that_is_behind_does_not_hold_it_back() -> None:
    clock = ManualClock().log_clock()
    assert clock.now(Instant(NOON - MINUTE)) == NOON
    assert clock.now(NOON) == NOON
    assert clock.now() == NOON
