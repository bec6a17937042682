"""What is a caller of `InventoryCommands` told of what was done?"""

from typing import TypeVar

from inventory_grpc.application.ports import Outcome
from inventory_grpc.presentation.filling import fill_reservation, fill_stock
from inventory_grpc_protos.v1 import commands_pb2 as pb

OneStock = TypeVar("OneStock", pb.AddStockResponse, pb.RemoveStockResponse, pb.AdjustStockResponse)
Lines = TypeVar(
    "Lines",
    pb.ReserveStockResponse,
    pb.CommitReservationResponse,
    pb.ReleaseReservationResponse,
)


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


def extended(outcome: Outcome) -> pb.ExtendReservationResponse:
    """Tell until when a reservation holds now."""
    response = pb.ExtendReservationResponse(position=outcome.position, replayed=outcome.replayed)
    assert outcome.reservation is not None
    fill_reservation(response.reservation, outcome.reservation)
    return response


def fill_result(result: pb.CommandResult, outcome: Outcome) -> pb.CommandResult:
    """Tell of a command among many what is needed to go on."""
    result.position = outcome.position
    if outcome.replayed:
        result.replayed = True
    if outcome.reservation is None:
        result.version = outcome.stocks[0].version
    else:
        result.reservation_id = outcome.reservation.reservation_id
    return result
