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
    "Event": (
        "position",
        "record_time",
        "type",
        "product_id",
        "store_id",
        "units",
        "available",
        "on_hand",
        "reserved",
        "cart",
        "reason",
        "reference",
        "actor",
    ),
}
"""The columns of a message in tables and CSV. JSON has all fields, and so has CSV of others."""

_OF_EVENTS: Final = {"units", "available", "on_hand", "reserved"}
"""Numbers in the columns of an event that are no fields of it."""

_SIGNS: Final = {"stock_added": "+", "stock_removed": "-", "reservation_committed": "-"}
"""Facts whose units come in or leave; those of others have a sign themselves, or stay."""

_HELD: Final = "ACTIVE"
"""The state of a cart that still holds units."""

_NUMBERS: Final = {
    FieldDescriptor.CPPTYPE_INT32,
    FieldDescriptor.CPPTYPE_INT64,
    FieldDescriptor.CPPTYPE_UINT32,
    FieldDescriptor.CPPTYPE_UINT64,
}


def cells(message: Message, columns: Sequence[str] = ()) -> dict[str, str]:
    """Return *columns* of a message as text, or those of CSV; times are those of this machine."""
    values = plain(message)
    for name, field in message.DESCRIPTOR.fields_by_name.items():
        if name in values and field.message_type is Timestamp.DESCRIPTOR:
            moment = getattr(message, name).ToDatetime(UTC).astimezone()
            values[name] = f"{moment:%Y-%m-%d %H:%M:%S}"
    if message.DESCRIPTOR.name == "Event":
        values |= _columns_of_event(message, values)
    if message.DESCRIPTOR.name == "Reservation":
        values |= _columns_of_cart(values)
    usual = COLUMNS.get(message.DESCRIPTOR.name, tuple(message.DESCRIPTOR.fields_by_name))
    return {name: _text(values.get(name, "")) for name in columns or usual}


def is_number(message: Message, column: str) -> bool:
    field = message.DESCRIPTOR.fields_by_name.get(column)
    if message.DESCRIPTOR.name == "Event" and column in _OF_EVENTS:
        return True
    return bool(
        field and field.cpp_type in _NUMBERS and not field.enum_type and not field.is_repeated
    )


def _columns_of_event(event: Message, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return its type, such as `StockAdded`, its units, the levels after it, and its cart."""
    fact = event.WhichOneof("fact") or ""
    said = values.get(fact, {})
    units = said.get("quantity", "")
    if "delta" in said:
        units = f"{said['delta']:+}"
    return {
        **values.get("after", {}),
        "type": fact_of(event),
        "units": f"{_SIGNS.get(fact, '')}{units}",
        "cart": (cart := said.get("reservation_id", "")),
        "about": ", ".join(
            one for one in (cart, values["reason"], values["reference"], values["actor"]) if one
        ),
    }


def _columns_of_cart(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return its lines, with what became of each, and the end of a hold that has not ended."""
    state = values["state"]
    return {
        "lines": [_line_of_cart(line, state) for line in values["lines"]],
        "expire_time": values.get("expire_time", "never") if state == _HELD else "",
    }


def _line_of_cart(line: Mapping[str, Any], state: str) -> str:
    told = {name: line[name] for name in ("held", "committed", "released", "expired")}
    parts = [f"{units} {name}" for name, units in told.items() if units]
    usual = told["held" if state == _HELD else state.lower()] == line["quantity"]
    waiting = [f"{line['backordered']} backordered"] if line["backordered"] else []
    more = [*([] if usual else parts), *waiting]
    return f"{_text(line)} ({', '.join(more)})" if more else _text(line)


def _text(value: Any) -> str:  # noqa: ANN401  a plain value
    match value:
        case list():
            return ", ".join(_text(one) for one in value)
        case {"product_id": product, "store_id": store, "quantity": quantity}:
            return f"{quantity} {product} in {store}"
        case {"state": state, "units": units}:
            return f"{units} {state}"
        case dict():
            return ", ".join(f"{name} {_text(one)}" for name, one in value.items())
        case _:
            return str(value)
