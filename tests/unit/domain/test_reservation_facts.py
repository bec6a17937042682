"""A reservation folds its own facts and rejects any other."""

import pytest

from inventory_grpc.domain.levels import Levels
from inventory_grpc.domain.reservation import Reservation
from inventory_grpc.domain.reservation_facts import ReservationFact, StockReserved
from inventory_grpc.domain.values import CustomerId, immutable
from tests.support.history import event_of
from tests.support.world import ANA, BEN, KETTLES, NOON, R1

RESERVED = event_of(1, KETTLES, StockReserved(R1, ANA, None, 3, NOON), after=Levels(5, 3))


@immutable
class ReservationTransferred(ReservationFact):
    """A fact that the state cannot fold."""

    customer_id: CustomerId
    quantity: int


def test_a_fact_that_is_not_folded_is_an_error_and_not_an_expiry() -> None:
    held = Reservation.begin(RESERVED).evolve([RESERVED])
    transferred = event_of(2, KETTLES, ReservationTransferred(R1, BEN, 3), version=2)
    with pytest.raises(AssertionError, match="ReservationTransferred"):
        held.evolve([transferred])
