"""A reservation for Ana in the middle of its life, and its possible ends."""

from inventory_grpc.domain.reservation import Reservation
from inventory_grpc.domain.reservation_facts import (
    ReservationCommitted,
    ReservationExpired,
    ReservationReleased,
    StockReserved,
)
from inventory_grpc.domain.stock import StockAdded
from tests.support.stories import Happened, MemoryBook
from tests.support.world import ANA, KETTLES, MINUTE, R1, TOASTERS, later

HALF_PAST = later(30 * MINUTE)
HELD: list[Happened] = [
    StockAdded(9),
    (TOASTERS, StockAdded(9)),
    (KETTLES, StockReserved(R1, ANA, None, 5, HALF_PAST)),
    (TOASTERS, StockReserved(R1, ANA, None, 2, HALF_PAST)),
]
"""Five kettles and two toasters, for Ana, until half past."""

COMMITTED: list[Happened] = [
    ReservationCommitted(R1, None, 5),
    (TOASTERS, ReservationCommitted(R1, None, 2)),
]
RELEASED: list[Happened] = [
    ReservationReleased(R1, 5),
    (TOASTERS, ReservationReleased(R1, 2)),
]
EXPIRED: list[Happened] = [
    ReservationExpired(R1, 5),
    (TOASTERS, ReservationExpired(R1, 2)),
]


def reservation(book: MemoryBook) -> Reservation:
    found = book.reservation(R1)
    assert found is not None
    assert found.held == sum(line.held for line in found.lines.values())
    return found
