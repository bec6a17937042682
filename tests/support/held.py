"""A promise to Ana in the middle of its life, and its possible ends."""

from inventory_grpc.domain.events import (
    Movement,
    ReservationCommitted,
    ReservationExpired,
    ReservationReleased,
    StockAdded,
    StockReserved,
)
from inventory_grpc.domain.reservation import Reservation
from tests.support.stories import Happened, MemoryBook
from tests.support.world import ANA, KETTLES, MINUTE, R1, TOASTERS, later

HALF_PAST = later(30 * MINUTE)
HELD: list[Happened] = [
    StockAdded(9),
    Movement(TOASTERS, StockAdded(9)),
    Movement(KETTLES, StockReserved(R1, ANA, None, 5, HALF_PAST)),
    Movement(TOASTERS, StockReserved(R1, ANA, None, 2, HALF_PAST)),
]
"""Five kettles and two toasters, for Ana, until half past."""

COMMITTED: list[Happened] = [
    ReservationCommitted(R1, None, 5),
    Movement(TOASTERS, ReservationCommitted(R1, None, 2)),
]
RELEASED: list[Happened] = [
    ReservationReleased(R1, 5),
    Movement(TOASTERS, ReservationReleased(R1, 2)),
]
EXPIRED: list[Happened] = [
    ReservationExpired(R1, 5),
    Movement(TOASTERS, ReservationExpired(R1, 2)),
]


def reservation(book: MemoryBook) -> Reservation:
    found = book.reservation(R1)
    assert found is not None
    assert found.held == sum(line.held for line in found.lines.values())
    return found
