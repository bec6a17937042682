"""The states at hand: never more than so many, and never other than the log says."""

from collections.abc import Callable
from dataclasses import fields

import pytest

from inventory_grpc.application.ledger.states import Recent, States, reservation_fact
from inventory_grpc.domain.event import Event, EventOutOfOrder, Fact, Levels
from inventory_grpc.domain.registry import FACTS
from inventory_grpc.domain.reservation import Reservation, ReservationCommitted, StockReserved
from inventory_grpc.domain.stock import Inventory, StockAdded
from inventory_grpc.domain.values import ReservationId, StockId
from tests.support.history import event_of
from tests.support.world import ANA, KETTLES, NOON, R1, TOASTERS


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


def test_evicting_what_is_not_there_is_no_matter() -> None:
    recent: Recent[str, int] = Recent(2)
    recent.evict("a")
    recent.put("a", 1)
    recent.evict("a")
    assert recent.get("a") is None
    recent.put("b", 2)
    recent.clear()
    assert len(recent) == 0


def test_facts_of_reservations_are_known_by_their_id() -> None:
    of_reservations = {
        kind for kind in FACTS if "reservation_id" in {field.name for field in fields(kind)}
    }
    assert {kind.__name__ for kind in of_reservations} == {
        "StockReserved",
        "ReservationCommitted",
        "ReservationReleased",
        "ReservationExpired",
        "ReservationExtended",
    }
    for kind in FACTS:
        fact: Fact = kind(*([1] * len(fields(kind))))
        found = reservation_fact(event_of(1, KETTLES, fact))
        assert (found is fact) == (kind in of_reservations)


class Log:
    """Folds what it is asked for, and counts how often."""

    def __init__(self, *events: Event) -> None:
        self.events = list(events)
        self.folded: list[StockId | ReservationId] = []

    def inventory(self, stock_id: StockId) -> Inventory:
        self.folded.append(stock_id)
        inventory = Inventory(stock_id)
        for event in self.events:
            if event.key == stock_id:
                inventory = inventory.evolve(event)
        return inventory

    def reservation(self, reservation_id: ReservationId) -> Reservation | None:
        self.folded.append(reservation_id)
        reservation = None
        for event in self.events:
            if reservation_fact(event):
                reservation = reservation or Reservation.begin(event)
                reservation = reservation.evolve([event])
        return reservation


ADDED = event_of(1, KETTLES, StockAdded(5), after=Levels(5, 0))
RESERVED = event_of(
    2, KETTLES, StockReserved(R1, ANA, None, 3, NOON), version=2, after=Levels(5, 3)
)
COMMITTED = event_of(3, KETTLES, ReservationCommitted(R1, None, 1), version=3, after=Levels(4, 2))


@pytest.fixture
def states() -> States:
    return States(10, 10)


def test_a_state_is_folded_once_and_then_at_hand(states: States) -> None:
    log = Log(ADDED, RESERVED)
    for _ in range(3):
        assert states.inventory(KETTLES, log.inventory).levels == Levels(5, 3)
        reservation = states.reservation(R1, log.reservation)
        assert reservation is not None
        assert reservation.held == 3
    assert log.folded == [KETTLES, R1]


def test_what_was_recorded_elsewhere_brings_it_up_to_date(states: States) -> None:
    log = Log(ADDED, RESERVED)
    states.inventory(KETTLES, log.inventory)
    states.reservation(R1, log.reservation)
    states.apply(COMMITTED)
    assert states.position == 3
    assert states.inventory(KETTLES, log.inventory).levels == Levels(4, 2)
    reservation = states.reservation(R1, log.reservation)
    assert reservation is not None
    assert reservation.held == 2
    assert log.folded == [KETTLES, R1]


def test_what_is_not_at_hand_is_not_begun_in_the_middle(states: States) -> None:
    states.apply(RESERVED)
    states.apply(COMMITTED)
    log = Log(ADDED, RESERVED, COMMITTED)
    assert states.inventory(KETTLES, log.inventory).version == 3
    reservation = states.reservation(R1, log.reservation)
    assert reservation is not None
    assert reservation.held == 2


@pytest.mark.parametrize("event", [ADDED, COMMITTED], ids=["twice", "one missed"])
def test_an_event_out_of_order_is_found_at_once(states: States, event: Event) -> None:
    log = Log(ADDED)
    states.inventory(KETTLES, log.inventory)
    with pytest.raises(EventOutOfOrder):
        states.apply(event)


def test_a_reservation_that_nobody_made_is_asked_for_again(states: States) -> None:
    assert states.reservation(R1, Log().reservation) is None
    assert states.reservation(R1, Log(RESERVED).reservation) is not None


Change = Callable[[States], None]


def test_what_was_rolled_back_is_folded_again_and_nothing_else(states: States) -> None:
    log = Log(ADDED, RESERVED)
    kettles = states.inventory(KETTLES, log.inventory)
    states.inventory(TOASTERS, log.inventory)
    states.reservation(R1, log.reservation)
    states.put(KETTLES, kettles._replace(levels=Levels(105, 3)))
    states.put(R1, None)
    states.undo()
    log.folded.clear()
    assert states.inventory(KETTLES, log.inventory).levels == Levels(5, 3)
    states.inventory(TOASTERS, log.inventory)
    states.reservation(R1, log.reservation)
    assert log.folded == [KETTLES, R1]


def test_a_reservation_begun_in_vain_is_gone(states: States) -> None:
    states.put(R1, Reservation.begin(RESERVED))
    states.undo()
    assert states.reservation(R1, Log().reservation) is None


def test_what_was_kept_is_not_undone_by_a_later_rollback(states: States) -> None:
    log = Log(ADDED)
    kettles = states.inventory(KETTLES, log.inventory)
    states.put(KETTLES, kettles._replace(levels=Levels(105, 0)))
    states.keep(2)
    states.undo()
    assert states.inventory(KETTLES, log.inventory).levels == Levels(105, 0)


def test_what_others_changed_meanwhile_is_folded_again_after_a_rollback(states: States) -> None:
    log = Log(ADDED)
    states.inventory(KETTLES, log.inventory)
    states.apply(RESERVED)
    log.events.append(RESERVED)
    states.undo()
    assert states.position == 2
    assert states.inventory(KETTLES, log.inventory).levels == Levels(5, 3)
    assert log.folded == [KETTLES, KETTLES]


def test_starting_anew_forgets_everything(states: States) -> None:
    log = Log(ADDED, RESERVED)
    states.inventory(KETTLES, log.inventory)
    states.reservation(R1, log.reservation)
    states.clear()
    states.inventory(KETTLES, log.inventory)
    states.reservation(R1, log.reservation)
    assert log.folded == [KETTLES, R1] * 2
