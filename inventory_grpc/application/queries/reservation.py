"""Queries of reservations."""

from dataclasses import dataclass

from inventory_grpc.application.access import EVERYWHERE, Scope
from inventory_grpc.application.ports import PAGE_LIMIT, Listing, Query, Reading
from inventory_grpc.application.queries.snapshot import Latest
from inventory_grpc.domain.refusals import ReservationNotFound
from inventory_grpc.domain.reservation import Reservation, ReservationState
from inventory_grpc.domain.values import ReservationId


@dataclass(frozen=True, slots=True)
class ReservationQuery(Query[Listing[tuple[int, Reservation], int]]):
    """A list of reservations, newest first, after a key; an empty field matches all.

    Each reservation comes with its key. A page has fewer of them if they are long.
    """

    customer_id: str = ""
    order_id: str = ""
    states: frozenset[ReservationState] = frozenset()
    product_id: str = ""
    store_id: str = ""
    backordered: bool = False
    """Whether only reservations are listed of which such a line waits for goods."""
    before: int | None = None
    scope: Scope = EVERYWHERE
    """Only reservations with every line in scope."""
    limit: int = PAGE_LIMIT


async def find_reservation(
    snapshot: Latest, reservation_id: ReservationId, scope: Scope = EVERYWHERE
) -> Reading[Reservation]:
    """Return one reservation.

    Raises:
        ReservationNotFound: there is none in *scope*.
    """
    found, as_of = await snapshot.get(reservation_id)
    if found is None or not scope.covers(found.lines):
        raise ReservationNotFound(reservation_id)
    return Reading(found, as_of)
