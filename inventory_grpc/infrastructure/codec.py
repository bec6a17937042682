"""Writes events as the message that followers receive, byte for byte, and reads them.

A fact is stored in the message of `Event.fact` that has its name, and each of its fields in the
field of the same name: a new fact needs nothing here. What is stored is kept for ever. Fields are
only ever added, and a field that is absent from old bytes means "as before there was one".
"""

from collections.abc import Callable
from operator import attrgetter
from typing import Any, Final, NamedTuple, get_args, get_type_hints

from google.protobuf.message import DecodeError
from google.protobuf.timestamp_pb2 import Timestamp

from inventory_grpc.domain.event import Cause, Event, Fact, Levels
from inventory_grpc.domain.registry import FACTS
from inventory_grpc.domain.values import Instant, Malformed, ProductId, StockId, StoreId
from inventory_grpc_protos.v1 import events_pb2 as pb

_FIELDS: Final = {
    field.message_type.name: field
    for field in pb.Event.DESCRIPTOR.oneofs_by_name["fact"].fields
    if field.message_type
}

KIND: Final = {fact: _FIELDS[fact.__name__].number for fact in FACTS}
"""The number of each kind of fact: that of its field in the message."""

KIND_BY_NAME: Final = {fact.__name__: number for fact, number in KIND.items()}
"""The same by the names that followers filter by."""


def set_time(timestamp: Timestamp, time: Instant) -> None:
    timestamp.seconds, micros = divmod(time, 1_000_000)
    timestamp.nanos = micros * 1_000


def instant(timestamp: Timestamp) -> Instant:
    return Instant(timestamp.seconds * 1_000_000 + timestamp.nanos // 1_000)


class _Stored(NamedTuple):
    """How the facts of one kind are written and read."""

    make: type[Fact]
    field: str
    """That of their message in the event."""
    values: tuple[str, ...]
    """The names of their fields that are stored as they are."""
    times: tuple[str, ...]
    read: tuple[Callable[[Any], Any], ...]


def _stored(fact: type[Fact]) -> _Stored:
    types = {name: get_args(hint) or (hint,) for name, hint in get_type_hints(fact).items()}
    return _Stored(
        fact,
        _FIELDS[fact.__name__].name,
        tuple(name for name, kind in types.items() if kind[0] is not Instant),
        tuple(name for name, kind in types.items() if kind[0] is Instant),
        tuple(_reader(name, kind, *none) for name, (kind, *none) in types.items()),
    )


def _reader(name: str, kind: type, none: type | None = None) -> Callable[[Any], Any]:
    """Return what reads the field *name* of a message; an absent one is None if it may be."""
    value_of = attrgetter(name)
    convert = instant if kind is Instant else kind
    if none is None:
        return value_of if kind is int else lambda message: convert(value_of(message))
    if issubclass(kind, str):
        return lambda message: convert(value) if (value := value_of(message)) else None
    return lambda message: convert(value_of(message)) if message.HasField(name) else None


_STORED: Final = {fact: _stored(fact) for fact in FACTS}
_BY_FIELD: Final = {stored.field: stored for stored in _STORED.values()}


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
    stored = _STORED[type(fact)]
    target = getattr(message, stored.field)
    for name in stored.values:
        if (value := getattr(fact, name)) is not None:
            setattr(target, name, value)
    for name in stored.times:
        if (value := getattr(fact, name)) is not None:
            set_time(getattr(target, name), value)
    return message.SerializeToString()


def recorded_in(data: bytes) -> str:
    """Return the id of the log in which the event in *data* was recorded; empty if unreadable."""
    try:
        return pb.Event.FromString(data).event_id.rpartition("-")[0]
    except DecodeError:
        return ""


def decode(data: bytes) -> Event:
    """Return the event that *data* was made from."""
    message = pb.Event.FromString(data)
    stored = _BY_FIELD.get(message.WhichOneof("fact") or "")
    if stored is None:
        raise UnknownFact(f"event {message.position} holds a fact this program cannot read")
    source = getattr(message, stored.field)
    # by place, as by name it would take a tenth longer
    cause = Cause(
        message.request_id,
        message.actor,
        message.reason,
        message.reference,
        instant(message.occur_time) if message.HasField("occur_time") else None,
    )
    return Event(
        message.position,
        message.command_position,
        StockId(ProductId(message.product_id), StoreId(message.store_id)),
        message.version,
        instant(message.record_time),
        cause,
        stored.make(*[read(source) for read in stored.read]),
        Levels(message.after.on_hand, message.after.reserved),
    )


class UnknownFact(Exception):
    """The log was written by a newer program."""


UNREADABLE: Final = (DecodeError, Malformed, UnknownFact)
"""What `decode` raises when the bytes are not those of an event, or of a newer one."""


def record_time(data: bytes) -> Instant:
    """Return when the event in *data* was recorded."""
    return instant(pb.Event.FromString(data).record_time)
