"""Messages carry the values that were written into them."""

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given
from hypothesis import strategies as st

from inventory_grpc.application.access import ANYBODY
from inventory_grpc.domain.levels import Levels
from inventory_grpc.domain.reservation import Reservation, ReservationState, ReservedLine
from inventory_grpc.domain.stock import Inventory
from inventory_grpc.domain.values import MAX_LEVEL
from inventory_grpc.presentation.to_proto import (
    STATES,
    fill_reservation,
    fill_span,
    fill_stock,
    fill_time,
)
from inventory_grpc.presentation.validation import Validator
from inventory_grpc_protos.v1 import stock_pb2 as pb
from tests.support.world import ANA, KETTLES, NOON, ORDER, R1, TOASTERS, later

YEAR_1 = -62_135_596_800_000_000
YEAR_10000 = 253_402_300_800_000_000


@given(st.integers(YEAR_1, YEAR_10000 - 1))
def test_a_moment_comes_back_as_it_went(micros: int) -> None:
    message = Timestamp()
    fill_time(message, micros)
    assert message.ToMicroseconds() == micros
    with Validator(ANYBODY) as check:
        assert check.instant("time", message) == micros


@given(st.integers(-(10**15), 10**15))
def test_a_length_of_time_has_one_sign(micros: int) -> None:
    message = Duration()
    fill_span(message, micros)
    assert message.ToMicroseconds() == micros


@pytest.mark.parametrize(
    ("levels", "available", "shortfall"),
    [(Levels(5, 2), 3, 0), (Levels(2, 5), 0, 3), (Levels(MAX_LEVEL, 0), MAX_LEVEL, 0)],
)
def test_a_stock_shows_what_is_available_and_what_is_short(
    levels: Levels, available: int, shortfall: int
) -> None:
    message = pb.Stock()
    fill_stock(message, Inventory(KETTLES, levels, 7, NOON))
    assert message == pb.Stock(
        product_id="kettle",
        store_id="lisbon",
        on_hand=levels.on_hand,
        reserved=levels.reserved,
        available=available,
        shortfall=shortfall,
        version=7,
        update_time=Timestamp(seconds=NOON // 1_000_000),
    )


def test_a_stock_without_history_was_never_updated() -> None:
    message = pb.Stock()
    fill_stock(message, Inventory(KETTLES, Levels(0, 0), 0, None))
    assert not message.HasField("update_time")


def test_a_reservation_shows_what_became_of_every_unit() -> None:
    lines = {KETTLES: ReservedLine(10, 4, 3, 2), TOASTERS: ReservedLine(1)}
    reservation = Reservation(
        reservation_id=R1,
        customer_id=ANA,
        reserved_for=None,
        committed_for=ORDER,
        reference="checkout 7",
        create_time=NOON,
        expire_time=later(1_000_001),
        state=ReservationState.ACTIVE,
        lines=lines,
        held=2,
        position=9,
    )
    message = pb.Reservation()
    fill_reservation(message, reservation)
    assert message == pb.Reservation(
        reservation_id="r1",
        customer_id="ana",
        order_id="order-1",
        state=pb.RESERVATION_STATE_ACTIVE,
        reference="checkout 7",
        create_time=Timestamp(seconds=NOON // 1_000_000),
        expire_time=Timestamp(seconds=NOON // 1_000_000 + 1, nanos=1_000),
        lines=[
            pb.ReservationLine(
                product_id="kettle",
                store_id="lisbon",
                quantity=10,
                held=1,
                committed=4,
                released=3,
                expired=2,
            ),
            pb.ReservationLine(product_id="toaster", store_id="lisbon", quantity=1, held=1),
        ],
    )


def test_every_state_has_a_name_on_the_wire() -> None:
    assert set(STATES) == set(ReservationState)
    for state, number in STATES.items():
        assert pb.ReservationState.Name(number) == f"RESERVATION_STATE_{state.name}"
