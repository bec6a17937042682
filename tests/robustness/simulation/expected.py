"""The events that a command records, by what was so before it."""

from collections.abc import Mapping

from inventory_grpc.domain.amending import AmendReservation
from inventory_grpc.domain.book import Command
from inventory_grpc.domain.policy import SetPolicy
from inventory_grpc.domain.promises import Mode
from inventory_grpc.domain.reservation_commands import (
    CommitReservation,
    ExtendReservation,
    OnReservation,
    ReleaseReservation,
    ReserveStock,
)
from inventory_grpc.domain.stock_commands import (
    AddStock,
    AdjustStock,
    ChangeBy,
    CountedAs,
    FenceStock,
    RemoveStock,
)
from inventory_grpc.domain.values import Cart
from tests.robustness.simulation.history import Faulty
from tests.support.model import Key, Model, Promise

Moved = tuple[str, Key, int]
"""A fact, the stock, and how many units."""


def assert_is_part(command: ReserveStock, units: Mapping[Key, int]) -> None:
    """Check that the reservation is what was asked for, or the part that could be had."""
    if command.asked.mode is Mode.ALL_OR_NOTHING:
        assert units == command.cart
    assert units
    asked: Mapping[Key, int] = dict(command.cart.items())
    assert all(number <= asked[key] for key, number in units.items())


def differences(promise: Promise, cart: Cart) -> list[Moved]:
    """Return what an amendment to *cart* records: named stocks first."""
    parts = promise.parts
    wanted: dict[Key, int] = dict(cart.items())
    wanted |= {key: 0 for key, part in parts.items() if part.held and key not in wanted}
    changes = [
        (key, units - (parts[key].held if key in parts else 0)) for key, units in wanted.items()
    ]
    return [
        ("stock_reserved" if more > 0 else "reservation_released", key, abs(more))
        for key, more in changes
        if more
    ]


def wanted(command: Command | Faulty, before: Model) -> list[Moved]:
    match command:
        case AddStock(stock_id, units):
            return [("stock_added", stock_id, units)]
        case RemoveStock(stock_id, units):
            return [("stock_removed", stock_id, units)]
        case AdjustStock(stock_id, ChangeBy(delta)):
            return [("stock_adjusted", stock_id, delta)]
        case AdjustStock(stock_id, CountedAs(counted)):
            shelf = before.shelves.get(stock_id)
            return [("stock_adjusted", stock_id, counted - (shelf.on_hand if shelf else 0))]
        case FenceStock(stock_id, _, delta):
            return [("stock_fenced", stock_id, delta)]
        case SetPolicy():
            return [("policy_changed", ("", ""), 0)]
        case ReserveStock(cart=cart):
            return [("stock_reserved", stock_id, units) for stock_id, units in cart.items()]
        case OnReservation():
            return _on_reservation(command, before.promises[command.reservation_id])
    raise AssertionError("a command that cannot be decided is in the log")


def _on_reservation(command: OnReservation, promise: Promise) -> list[Moved]:
    parts = promise.parts.items()
    held = {key: part.held for key, part in parts if part.held}
    match command:
        case AmendReservation(_, cart):
            return differences(promise, cart)
        case CommitReservation(_, cart) if not held:
            expired = {key: part.expired for key, part in parts if part.expired}
            return [("reservation_reacquired", *each) for each in (cart or expired).items()]
        case CommitReservation(_, cart):
            return [("reservation_committed", *each) for each in (cart or held).items()]
        case ReleaseReservation(_, cart):
            return [("reservation_released", *each) for each in (cart or held).items()]
        case ExtendReservation():
            return [("reservation_extended", *each) for each in held.items()]
    raise AssertionError("a command that cannot be decided is in the log")
