"""Turns messages into plain values, and into the columns of a table."""

from collections.abc import Mapping, Sequence
from datetime import UTC
from typing import Any, Final

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

COLUMNS: Final[Mapping[str, Sequence[str]]] = {
    "Stock": ("product_id", "store_id", "available", "on_hand", "reserved", "version"),
    "Reservation": ("reservation_id", "state", "customer_id", "lines", "expire_time"),
    "LineAtRisk": ("reservation_id", "product_id", "store_id", "held", "at_risk", "cause"),
    "AvailabilityLine": ("product_id", "store_id", "requested", "available", "shortfall"),
    "Product": ("product_id", "sku", "name", "state", "version"),
    "Store": ("store_id", "kind", "name", "groups", "state", "version"),
    "ScopedPolicy": ("product_id", "store_id", "policy", "version"),
    "Event": ("position", "record_time", "type", "product_id", "store_id", "after", "reason"),
}
"""The columns of a message in tables and CSV. JSON has all fields, and so has CSV of others."""

_NUMBERS: Final = {
    FieldDescriptor.CPPTYPE_INT32,
    FieldDescriptor.CPPTYPE_INT64,
    FieldDescriptor.CPPTYPE_UINT32,
    FieldDescriptor.CPPTYPE_UINT64,
}


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


def cells(message: Message) -> dict[str, str]:
    """Return the columns of *message*, as text; times are those of this machine."""
    values = plain(message)
    if message.DESCRIPTOR.name == "Event":
        values["type"] = _type_of(message)
        values["after"] = values.get("after", {}).get("available", "")
    for name, field in message.DESCRIPTOR.fields_by_name.items():
        if name in values and field.message_type is Timestamp.DESCRIPTOR:
            moment = getattr(message, name).ToDatetime(UTC).astimezone()
            values[name] = f"{moment:%Y-%m-%d %H:%M:%S}"
    columns = COLUMNS.get(message.DESCRIPTOR.name, tuple(message.DESCRIPTOR.fields_by_name))
    return {name: _text(values.get(name, "")) for name in columns}


def is_number(message: Message, column: str) -> bool:
    field = message.DESCRIPTOR.fields_by_name.get(column)
    return column == "after" or bool(
        field and field.cpp_type in _NUMBERS and not field.enum_type and not field.is_repeated
    )


def _type_of(event: Message) -> str:
    """Return the type of an event, such as `StockAdded`."""
    return "".join(word.title() for word in (event.WhichOneof("fact") or "").split("_"))


def _text(value: Any) -> str:  # noqa: ANN401  a plain value
    match value:
        case list():
            return ", ".join(_text(one) for one in value)
        case {"product_id": product, "store_id": store, "quantity": quantity}:
            return f"{quantity} {product} in {store}"
        case dict():
            return ", ".join(f"{name} {_text(one)}" for name, one in value.items())
        case _:
            return str(value)
