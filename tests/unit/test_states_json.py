"""States of every noun survive encoding as text."""

from typing import Final

import pytest

from inventory_grpc.application.outcomes import Outcome, State
from inventory_grpc.domain.levels import Levels, Particulars, StateUnits
from inventory_grpc.domain.policy import Policy, PolicyScope, ScopedPolicy
from inventory_grpc.domain.product import Product
from inventory_grpc.domain.registry import STREAMS, SUBJECTS
from inventory_grpc.domain.reservation import Reservation, ReservationState, ReservedLine
from inventory_grpc.domain.stock import Inventory
from inventory_grpc.domain.store import Store, StoreKind
from inventory_grpc.domain.values import UnitState
from inventory_grpc.infrastructure.log.states_json import (
    dump_outcome,
    dump_state,
    load_outcome,
    load_state,
)
from tests.support.world import (
    ANA,
    DAMAGED,
    KETTLE,
    KETTLES,
    LISBON,
    NOON,
    ORDER,
    R1,
    RETURNED,
    TOASTERS,
)

STATES: Final[tuple[State, ...]] = (
    Inventory(KETTLES),
    Inventory(KETTLES, Levels(9, 4), 7, NOON),
    Inventory(
        KETTLES,
        Levels(9, 4, Particulars((StateUnits(DAMAGED, 2), StateUnits(RETURNED, 1)))),
        8,
        NOON,
    ),
    Product(KETTLE),
    ScopedPolicy(PolicyScope.of(None, "lisbon")),
    ScopedPolicy(PolicyScope.of("kettle", "lisbon"), Policy(2, 0, None, 1), 3, NOON),
    Store(LISBON),
    Store(LISBON, "Lisbon", StoreKind.WAREHOUSE, ("coast", "north"), 2, NOON, NOON),
    Product(KETTLE, "K-1", "Kettle", {"colour": "red", "weight": "900 g"}, 2, NOON, NOON),
    Reservation(
        reservation_id=R1,
        customer_id=ANA,
        reserved_for=None,
        committed_for=ORDER,
        reference="a gift",
        create_time=NOON,
        expire_time=None,
        state=ReservationState.COMMITTED,
        lines={KETTLES: ReservedLine(5, committed=2), TOASTERS: ReservedLine(2, 0, 1, 1)},
        held=3,
        position=11,
    ),
)


@pytest.mark.parametrize("state", STATES, ids=str)
def test_a_state_is_read_as_it_was_written(state: State) -> None:
    read = load_state(text := dump_state(state))
    assert read == state
    assert dump_state(read) == text
    assert type(read) is type(state)


def test_a_state_of_each_noun_is_here() -> None:
    assert {type(state) for state in STATES} == {*STREAMS.values(), *SUBJECTS.values()}


def test_values_have_their_classes_again() -> None:
    reservation: Reservation = load_state(dump_state(STATES[-1]))
    assert type(next(iter(reservation.lines))) is type(KETTLES)
    assert type(reservation.customer_id) is type(ANA)
    assert reservation.lines[KETTLES].held == 3
    stock: Inventory = load_state(dump_state(STATES[2]))
    assert type(stock.levels.states[0].state) is UnitState


def test_an_answer_is_read_as_it_was_written() -> None:
    outcome = Outcome(11, [*STATES[:2]], [STATES[-1]])
    assert load_outcome(dump_outcome(outcome)) == outcome
    assert load_outcome(dump_outcome(Outcome(3, [], []))) == Outcome(3, [], [])


def test_the_text_of_a_stock_stays_what_it_is() -> None:
    assert dump_state(STATES[1]) == (
        '[1,{"stock_id":["kettle","lisbon"],"levels":[9,4],"version":7,'
        f'"update_time":{int(NOON)}}}]'
    )
