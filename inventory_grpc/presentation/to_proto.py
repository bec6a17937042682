"""Writes stocks, reservations and outcomes into messages.

Fields are assigned one by one: measured, that takes half the time of building messages
from keywords.
"""

from typing import Final, TypeVar

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from inventory_grpc.application.ports import Outcome
from inventory_grpc.domain.reservation import Reservation, ReservationState
from inventory_grpc.domain.stock import Inventory
from inventory_grpc.domain.values import StockId
from inventory_grpc_protos.v1 import commands_pb2
from inventory_grpc_protos.v1 import stock_pb2 as pb

OneStock = TypeVar(
    "OneStock",
    commands_pb2.AddStockResponse,
    commands_pb2.RemoveStockResponse,
    commands_pb2.AdjustStockResponse,
)
Lines = TypeVar(
    "Lines",
    commands_pb2.ReserveStockResponse,
    commands_pb2.CommitReservationResponse,
    commands_pb2.ReleaseReservationResponse,
)

STATES: Final = {
    ReservationState.ACTIVE: pb.RESERVATION_STATE_ACTIVE,
    ReservationState.COMMITTED: pb.RESERVATION_STATE_COMMITTED,
    ReservationState.RELEASED: pb.RESERVATION_STATE_RELEASED,
    ReservationState.EXPIRED: pb.RESERVATION_STATE_EXPIRED,
}


def fill_time(message: Timestamp, micros: int) -> None:
    """Write a moment, of any century."""
    seconds, rest = divmod(micros, 1_000_000)
    message.seconds = seconds
    message.nanos = rest * 1_000


def fill_span(message: Duration, micros: int) -> None:
    """Write a length of time; both parts have the sign of the whole, as `Duration` wants it."""
    seconds, rest = divmod(abs(micros), 1_000_000)
    sign = -1 if micros < 0 else 1
    message.seconds = sign * seconds
    message.nanos = sign * rest * 1_000


def fill_stock(message: pb.Stock, stock: Inventory) -> None:
    """Write a stock."""
    (message.product_id, message.store_id), levels, message.version, update_time = stock
    message.on_hand, message.reserved = levels
    message.available = levels.available
    message.shortfall = levels.shortfall
    if update_time is not None:
        fill_time(message.update_time, update_time)


def fill_key(message: pb.StockKey, stock_id: StockId) -> None:
    """Write the name of a stock."""
    message.product_id, message.store_id = stock_id


def fill_reservation(message: pb.Reservation, reservation: Reservation) -> None:
    """Write a reservation, all lines."""
    message.reservation_id = reservation.reservation_id
    message.customer_id = reservation.customer_id
    message.order_id = reservation.order_id or ""
    message.state = STATES[reservation.state]
    message.reference = reservation.reference
    fill_time(message.create_time, reservation.create_time)
    if reservation.expire_time is not None:
        fill_time(message.expire_time, reservation.expire_time)
    for (product_id, store_id), line in reservation.lines.items():
        added = message.lines.add()
        added.product_id = product_id
        added.store_id = store_id
        added.quantity, added.committed, added.released, added.expired = line
        added.held = line.held


def fill_one_stock(response: OneStock, outcome: Outcome) -> OneStock:
    """Tell what a command on one stock has made so."""
    fill_stock(response.stock, outcome.stocks[0])
    response.position = outcome.position
    response.replayed = outcome.replayed
    return response


def fill_lines(response: Lines, outcome: Outcome) -> Lines:
    """Tell what a command on a reservation has made so, and of its stocks."""
    assert outcome.reservation is not None
    fill_reservation(response.reservation, outcome.reservation)
    for stock in outcome.stocks:
        fill_stock(response.stocks.add(), stock)
    response.position = outcome.position
    response.replayed = outcome.replayed
    return response


def extended(outcome: Outcome) -> commands_pb2.ExtendReservationResponse:
    """Tell until when a reservation holds now."""
    response = commands_pb2.ExtendReservationResponse(
        position=outcome.position, replayed=outcome.replayed
    )
    assert outcome.reservation is not None
    fill_reservation(response.reservation, outcome.reservation)
    return response


def fill_result(result: commands_pb2.CommandResult, outcome: Outcome) -> commands_pb2.CommandResult:
    """Tell of a command among many what is needed to go on."""
    result.position = outcome.position
    if outcome.replayed:
        result.replayed = True
    if outcome.reservation is None:
        result.version = outcome.stocks[0].version
    else:
        result.reservation_id = outcome.reservation.reservation_id
    return result
