"""Turns messages into the columns of a table."""

from collections.abc import Mapping, Sequence
from datetime import UTC
from typing import Any, Final

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from inventory_grpc.client.plain import fact_of, plain

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


def cells(message: Message) -> dict[str, str]:
    """Return the columns of *message*, as text; times are those of this machine."""
    values = plain(message)
    if message.DESCRIPTOR.name == "Event":
        values["type"] = fact_of(message)
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
