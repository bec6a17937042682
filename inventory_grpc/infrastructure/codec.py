"""How is an event written down? As the message that followers receive, byte for byte.

What is stored here is kept for ever: fields are only ever added, and a field that is
absent from old bytes means "as it was before there was one".
"""

from typing import Final

from google.protobuf.message import DecodeError
from google.protobuf.timestamp_pb2 import Timestamp

from inventory_grpc.domain.event import Cause, Event, Fact, Levels
from inventory_grpc.domain.reservation import (
    ReservationCommitted,
    ReservationExpired,
    ReservationExtended,
    ReservationReleased,
    StockReserved,
)
from inventory_grpc.domain.stock import StockAdded, StockAdjusted, StockRemoved
from inventory_grpc.domain.values import (
    CustomerId,
    Instant,
    Malformed,
    OrderId,
    ProductId,
    ReservationId,
    StockId,
    StoreId,
)
from inventory_grpc_protos.v1 import events_pb2 as pb

KIND: Final[dict[type[Fact], int]] = {
    StockAdded: pb.Event.STOCK_ADDED_FIELD_NUMBER,
    StockRemoved: pb.Event.STOCK_REMOVED_FIELD_NUMBER,
    StockAdjusted: pb.Event.STOCK_ADJUSTED_FIELD_NUMBER,
    StockReserved: pb.Event.STOCK_RESERVED_FIELD_NUMBER,
    ReservationCommitted: pb.Event.RESERVATION_COMMITTED_FIELD_NUMBER,
    ReservationReleased: pb.Event.RESERVATION_RELEASED_FIELD_NUMBER,
    ReservationExpired: pb.Event.RESERVATION_EXPIRED_FIELD_NUMBER,
    ReservationExtended: pb.Event.RESERVATION_EXTENDED_FIELD_NUMBER,
}
"""The number of each kind of fact: that of its field in the message."""

KIND_BY_NAME: Final = {fact.__name__: number for fact, number in KIND.items()}
"""The same by the names that followers filter by."""


def encode(event: Event, log_id: str) -> bytes:
    """Return the bytes of *event* that are stored and sent."""
    # taken apart at once: looked up one by one, the parts cost as much as to serialise them
    position, command_position, stock_id, version, record_time, cause, fact, after = event
    message = pb.Event()
    message.position = position
    message.event_id = f"{log_id}-{position}"
    message.product_id, message.store_id = stock_id
    message.version = version
    message.command_position = command_position
    message.request_id, message.actor, message.reason, message.reference, occur_time = cause
    set_time(message.record_time, record_time)
    if occur_time is not None:
        set_time(message.occur_time, occur_time)
    levels = message.after
    levels.on_hand, levels.reserved = after
    levels.available = after.available
    levels.shortfall = after.shortfall
    _set_fact(message, fact)
    return message.SerializeToString()


def recorded_in(data: bytes) -> str:
    """Return the id of the log in which the event in *data* was recorded; empty if unreadable."""
    try:
        return pb.Event.FromString(data).event_id.rpartition("-")[0]
    except DecodeError:
        return ""


def _set_fact(message: pb.Event, fact: Fact) -> None:  # noqa: C901  one case a fact
    match fact:
        case StockAdded():
            message.stock_added.quantity = fact.quantity
        case StockRemoved():
            message.stock_removed.quantity = fact.quantity
        case StockAdjusted():
            message.stock_adjusted.SetInParent()  # a count that agrees changes nothing by 0
            message.stock_adjusted.delta = fact.delta
            if fact.counted is not None:
                message.stock_adjusted.counted = fact.counted
        case StockReserved():
            reserved = message.stock_reserved
            reserved.reservation_id = fact.reservation_id
            reserved.customer_id = fact.customer_id
            reserved.order_id = fact.order_id or ""
            reserved.quantity = fact.quantity
            if fact.expire_time is not None:
                set_time(reserved.expire_time, fact.expire_time)
        case ReservationCommitted():
            committed = message.reservation_committed
            committed.reservation_id = fact.reservation_id
            committed.order_id = fact.order_id or ""
            committed.quantity = fact.quantity
        case ReservationReleased():
            message.reservation_released.reservation_id = fact.reservation_id
            message.reservation_released.quantity = fact.quantity
        case ReservationExpired():
            message.reservation_expired.reservation_id = fact.reservation_id
            message.reservation_expired.quantity = fact.quantity
        case ReservationExtended():
            extended = message.reservation_extended
            extended.reservation_id = fact.reservation_id
            extended.quantity = fact.quantity
            if fact.expire_time is not None:
                set_time(extended.expire_time, fact.expire_time)
        case _:
            raise AssertionError(f"{fact} has no place in the message")


def decode(data: bytes) -> Event:
    """Return the event that *data* was made from."""
    message = pb.Event.FromString(data)
    return Event(
        position=message.position,
        command_position=message.command_position,
        key=StockId(ProductId(message.product_id), StoreId(message.store_id)),
        version=message.version,
        record_time=instant(message.record_time),
        cause=Cause(
            request_id=message.request_id,
            actor=message.actor,
            reason=message.reason,
            reference=message.reference,
            occur_time=instant(message.occur_time) if message.HasField("occur_time") else None,
        ),
        fact=_fact(message),
        after=Levels(message.after.on_hand, message.after.reserved),
    )


def _fact(message: pb.Event) -> Fact:
    match message.WhichOneof("fact"):
        case "stock_added":
            return StockAdded(message.stock_added.quantity)
        case "stock_removed":
            return StockRemoved(message.stock_removed.quantity)
        case "stock_adjusted":
            adjusted = message.stock_adjusted
            counted = adjusted.counted if adjusted.HasField("counted") else None
            return StockAdjusted(adjusted.delta, counted)
        case "stock_reserved":
            reserved = message.stock_reserved
            return StockReserved(
                ReservationId(reserved.reservation_id),
                CustomerId(reserved.customer_id),
                OrderId(reserved.order_id) if reserved.order_id else None,
                reserved.quantity,
                instant(reserved.expire_time) if reserved.HasField("expire_time") else None,
            )
        case "reservation_committed":
            committed = message.reservation_committed
            return ReservationCommitted(
                ReservationId(committed.reservation_id),
                OrderId(committed.order_id) if committed.order_id else None,
                committed.quantity,
            )
        case "reservation_released":
            released = message.reservation_released
            return ReservationReleased(ReservationId(released.reservation_id), released.quantity)
        case "reservation_expired":
            expired = message.reservation_expired
            return ReservationExpired(ReservationId(expired.reservation_id), expired.quantity)
        case "reservation_extended":
            extended = message.reservation_extended
            return ReservationExtended(
                ReservationId(extended.reservation_id),
                extended.quantity,
                instant(extended.expire_time) if extended.HasField("expire_time") else None,
            )
        case None:
            raise UnknownFact(f"event {message.position} holds a fact this program cannot read")


class UnknownFact(Exception):
    """The log was written by a newer program."""


UNREADABLE: Final = (DecodeError, Malformed, UnknownFact)
"""What `decode` raises when the bytes are not those of an event, or of a newer one."""


def record_time(data: bytes) -> Instant:
    """Return when the event in *data* was recorded."""
    return instant(pb.Event.FromString(data).record_time)


def set_time(timestamp: Timestamp, time: Instant) -> None:
    timestamp.seconds, micros = divmod(time, Instant.SECOND)
    timestamp.nanos = micros * 1_000


def instant(timestamp: Timestamp) -> Instant:
    return Instant(timestamp.seconds * Instant.SECOND + timestamp.nanos // 1_000)
