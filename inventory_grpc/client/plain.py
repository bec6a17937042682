"""Turns messages into plain values, as JSON has them."""

from datetime import UTC
from typing import Any

from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp


def plain(message: Message) -> dict[str, Any]:
    """Return the fields of *message*: numbers as numbers, times in UTC, enums without a prefix.

    Messages that are not set, and facts that an event does not have, are left out.
    """
    values: dict[str, Any] = {}
    for field in message.DESCRIPTOR.fields:
        value = getattr(message, field.name)
        if field.message_type and field.message_type.GetOptions().map_entry:
            values[field.name] = dict(value)
        elif field.is_repeated:
            values[field.name] = [_plain_value(field, one) for one in value]
        elif not field.has_presence or message.HasField(field.name):
            values[field.name] = _plain_value(field, value)
    return values


def _plain_value(field: Any, value: Any) -> Any:  # noqa: ANN401  any field, and its value
    if isinstance(value, Timestamp):
        return value.ToDatetime(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, Duration):
        return value.ToTimedelta().total_seconds()
    if isinstance(value, Message):
        return plain(value)
    if field.enum_type:
        name = field.enum_type.values_by_number[value].name
        prefix = field.enum_type.values[0].name.removesuffix("UNSPECIFIED")
        return name.removeprefix(prefix)
    return value


def fact_of(event: Message) -> str:
    """Return the type of an event, such as `StockAdded`."""
    return "".join(word.title() for word in (event.WhichOneof("fact") or "").split("_"))
