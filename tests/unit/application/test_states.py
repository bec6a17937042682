"""The states at hand: never more than so many, and never other than the log says."""

from inventory_grpc.application.ledger.states import Recent, States
from inventory_grpc.domain.event import Levels
from inventory_grpc.domain.stock import Inventory
from inventory_grpc.domain.values import StockId
from tests.support.world import KETTLES, R1, TOASTERS


def test_what_was_used_longest_ago_goes_first() -> None:
    recent: Recent[str, int] = Recent(2)
    recent.put("a", 1)
    recent.put("b", 2)
    assert recent.get("a") == 1
    recent.put("c", 3)
    assert recent.get("b") is None
    assert (recent.get("a"), recent.get("c")) == (1, 3)
    assert len(recent) == 2


def test_putting_again_replaces() -> None:
    recent: Recent[str, int] = Recent(2)
    recent.put("a", 1)
    recent.put("b", 2)
    recent.put("a", 3)
    recent.put("c", 4)
    assert (recent.get("a"), recent.get("b")) == (3, None)


def test_clearing_leaves_nothing() -> None:
    recent: Recent[str, int] = Recent(2)
    recent.put("b", 2)
    recent.clear()
    assert recent.get("b") is None
    assert len(recent) == 0


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
