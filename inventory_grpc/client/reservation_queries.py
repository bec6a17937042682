"""The queries of reservations."""

from collections.abc import Iterable, Sequence
from typing import Final, Literal

from inventory_grpc.client import messages
from inventory_grpc.client.calls import Calls
from inventory_grpc_protos.v1 import queries_pb2 as pb
from inventory_grpc_protos.v1.stock_pb2 import ReservationState

State = Literal["ACTIVE", "COMMITTED", "RELEASED", "EXPIRED"]

_PREFIX: Final = "RESERVATION_STATE_"
_STATES: Final = {
    name.removeprefix(_PREFIX): value for name, value in ReservationState.items() if value
}


class ReservationQueries:
    """Reads reservations.

    `StockQueries` explains the arguments and the errors that every query has.
    """

    _calls: Calls

    async def get_reservation(
        self,
        *,
        reservation_id: str,
        min_position: int = 0,
        timeout: float | None = None,  # noqa: ASYNC109  sent to the server as the deadline
    ) -> pb.GetReservationResponse:
        """Return one reservation, even if it has ended.

        Raises:
            ReservationNotFound: there is no such reservation.
            InventoryError: one of those that every query may raise, see `StockQueries`.
        """
        request = messages.made(
            pb.GetReservationRequest, reservation_id=reservation_id, min_position=min_position
        )
        return await self._calls(lambda on: on.queries.GetReservation, request, timeout)

    async def list_reservations(  # noqa: PLR0913  the fields of the request
        self,
        *,
        customer_id: str = "",
        order_id: str = "",
        states: Iterable[State] = (),
        product_id: str = "",
        store_id: str = "",
        backordered: bool = False,
        page_size: int = 0,
        page_token: str = "",
        min_position: int = 0,
        timeout: float | None = None,  # noqa: ASYNC109  as above
    ) -> pb.ListReservationsResponse:
        """Return a page of the reservations that match every filter, newest first.

        *states* is a list of `ACTIVE`, `COMMITTED`, `RELEASED`, `EXPIRED`. With *backordered*,
        only those match of which a line, of that product and store, waits for goods. An empty
        filter matches all.

        Raises:
            ValueError: a state is not one of these.
            InventoryError: one of those that every query may raise, see `StockQueries`.
        """
        messages.text("customer_id", customer_id)
        messages.text("order_id", order_id)
        messages.text("product_id", product_id)
        messages.text("store_id", store_id)
        request = messages.made(
            pb.ListReservationsRequest,
            customer_id=customer_id,
            order_id=order_id,
            states=_states(states),
            product_id=product_id,
            store_id=store_id,
            backordered=backordered,
            page_size=page_size,
            page_token=page_token,
            min_position=min_position,
        )
        return await self._calls(lambda on: on.queries.ListReservations, request, timeout)

    async def list_reservations_at_risk(  # noqa: PLR0913  as above
        self,
        *,
        product_ids: Iterable[str] = (),
        store_ids: Iterable[str] = (),
        customer_id: str = "",
        page_size: int = 0,
        page_token: str = "",
        min_position: int = 0,
        timeout: float | None = None,  # noqa: ASYNC109  as above
    ) -> pb.ListReservationsAtRiskResponse:
        """Return a page of the promises that cannot be kept with the goods there are.

        They are ordered by product and store, and the newest promise comes first. *product_ids*
        and *store_ids* are lists of at most 100. An empty filter matches all.

        Raises:
            InventoryError: one of those that every query may raise, see `StockQueries`.
        """
        messages.text("customer_id", customer_id)
        request = messages.made(
            pb.ListReservationsAtRiskRequest,
            product_ids=messages.strings("product_ids", product_ids),
            store_ids=messages.strings("store_ids", store_ids),
            customer_id=customer_id,
            page_size=page_size,
            page_token=page_token,
            min_position=min_position,
        )
        return await self._calls(lambda on: on.queries.ListReservationsAtRisk, request, timeout)


def _states(given: Iterable[State]) -> Sequence[ReservationState.ValueType]:
    names = messages.strings("states", given)
    for name in names:
        if name not in _STATES:
            raise ValueError(f"{messages.shown(name)} is not a state: {', '.join(_STATES)}")
    return [_STATES[name] for name in names]
