"""How is folded state written down, in snapshots and in answers that have no events?

As JSON, for it grows by addition, and a snapshot that cannot be read is only made again.
"""

import json
from typing import Any

from inventory_grpc.application.ports import Outcome
from inventory_grpc.domain.event import Levels
from inventory_grpc.domain.reservation import Reservation, ReservationState, ReservedLine
from inventory_grpc.domain.stock import Inventory
from inventory_grpc.domain.values import (
    CustomerId,
    Instant,
    OrderId,
    ProductId,
    ReservationId,
    StockId,
    StoreId,
)
from inventory_grpc.infrastructure.log.ids import RESERVATION, STOCK


def dump_reservation(reservation: Reservation) -> str:
    """Return the state of a reservation."""
    return json.dumps(_reservation(reservation), separators=(",", ":"))


def load_reservation(text: str) -> Reservation:
    """Return the reservation that *text* was made from."""
    return _load_reservation(json.loads(text))


def dump_outcome(outcome: Outcome) -> str:
    """Return an answer, to be given again."""
    content = {
        "position": outcome.position,
        "streams": [[STOCK, *_stock(stock)] for stock in outcome.streams],
        "subjects": [[RESERVATION, _reservation(own)] for own in outcome.subjects],
    }
    return json.dumps(content, separators=(",", ":"))


def load_outcome(text: str) -> Outcome:
    """Return the answer that *text* was made from."""
    content = json.loads(text)
    return Outcome(
        content["position"],
        [_load_stock(stock) for _, *stock in content["streams"]],
        [_load_reservation(own) for _, own in content["subjects"]],
    )


def _stock(stock: Inventory) -> list[Any]:
    return [*stock.stock_id, *stock.levels, stock.version, stock.update_time]


def _load_stock(row: list[Any]) -> Inventory:
    product_id, store_id, on_hand, reserved, version, update_time = row
    return Inventory(
        StockId(ProductId(product_id), StoreId(store_id)),
        Levels(on_hand, reserved),
        version,
        None if update_time is None else Instant(update_time),
    )


def _reservation(reservation: Reservation) -> dict[str, Any]:
    return {
        "reservation_id": reservation.reservation_id,
        "customer_id": reservation.customer_id,
        "reserved_for": reservation.reserved_for,
        "committed_for": reservation.committed_for,
        "reference": reservation.reference,
        "create_time": reservation.create_time,
        "expire_time": reservation.expire_time,
        "state": reservation.state.value,
        "lines": [[*stock_id, *line] for stock_id, line in reservation.lines.items()],
        "position": reservation.position,
    }


def _load_reservation(content: dict[str, Any]) -> Reservation:
    lines = {
        StockId(ProductId(product_id), StoreId(store_id)): ReservedLine(*units)
        for product_id, store_id, *units in content["lines"]
    }
    reserved_for, committed_for = content["reserved_for"], content["committed_for"]
    expire_time = content["expire_time"]
    return Reservation(
        reservation_id=ReservationId(content["reservation_id"]),
        customer_id=CustomerId(content["customer_id"]),
        reserved_for=OrderId(reserved_for) if reserved_for else None,
        committed_for=OrderId(committed_for) if committed_for else None,
        reference=content["reference"],
        create_time=Instant(content["create_time"]),
        expire_time=None if expire_time is None else Instant(expire_time),
        state=ReservationState(content["state"]),
        lines=lines,
        held=sum(line.held for line in lines.values()),
        position=content["position"],
    )
