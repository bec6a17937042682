"""The state cache stays within its size and agrees with the log."""

from inventory_grpc.application.ledger.states import States
from inventory_grpc.domain.levels import Levels
from inventory_grpc.domain.stock import Inventory
from inventory_grpc.domain.values import StockId
from tests.support.world import KETTLES, R1, TOASTERS

FIVE = Inventory(KETTLES, Levels(5, 0), 1)


def test_a_state_is_at_hand_once_it_was_kept() -> None:
    states = States()
    assert states.get(KETTLES) is None
    states.keep(1, {KETTLES: FIVE})
    assert states.get(KETTLES) == FIVE
    assert KETTLES in states
    assert states.position == 1


def test_a_subject_that_was_never_begun_is_read_again() -> None:
    states = States()
    states.keep(1, {R1: None})
    assert R1 not in states


def test_each_kind_of_key_has_a_limit_of_its_own() -> None:
    states = States({StockId: 1})
    states.keep(3, {KETTLES: FIVE, R1: "a reservation", TOASTERS: Inventory(TOASTERS)})
    assert KETTLES not in states
    assert TOASTERS in states
    assert R1 in states


def test_a_restart_forgets_the_states_and_goes_on_from_a_position() -> None:
    states = States()
    states.keep(1, {KETTLES: FIVE})
    states.restart(7)
    assert KETTLES not in states
    assert states.position == 7
