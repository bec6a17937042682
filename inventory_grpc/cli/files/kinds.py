"""The kinds of rows, and the requests that they become."""

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple

from google.protobuf.timestamp_pb2 import Timestamp

from inventory_grpc.cli.files.table import Columns
from inventory_grpc.cli.files.text import BadRow
from inventory_grpc_protos.v1.commands_pb2 import AddStockRequest

_DIGITS: Final = re.compile(r"\d{1,18}", re.ASCII)
_GROUPED: Final = re.compile(r"[+-]?[0-9]{1,3}([.,'\u2019_\s][0-9]{3})+")
_SHOWN: Final = 40

Reader = Callable[[str, Any], Any]
"""Makes a value of the name of a column and of a cell, which is any value of JSON."""


class Kind(NamedTuple):
    columns: Columns
    request: Callable[..., Any]
    read: Mapping[str, Reader]
    """Reads the cells of columns that are no text."""
    led_by: str
    """The column that the ids of rows begin with."""


def text(name: str, cell: Any) -> str:  # noqa: ANN401  any value of JSON
    if not isinstance(cell, str):
        raise BadRow(name, f"must be a text, not {shown(cell)}")
    return cell


def _quantity(name: str, cell: Any) -> int:  # noqa: ANN401  as above
    if isinstance(cell, int) and not isinstance(cell, bool):
        cell = str(cell)
    told = text(name, cell)
    if _DIGITS.fullmatch(told):
        return int(told)
    if _GROUPED.fullmatch(told):
        plain = re.sub(r"\D", "", told)
        raise BadRow(
            name,
            f"{shown(told)} has a separator of thousands or of decimals; write {plain} for"
            " thousands",
        )
    raise BadRow(name, f"must be a whole number such as 5, not {shown(told)}")


def _time(name: str, cell: Any) -> Timestamp:  # noqa: ANN401  as above
    told = text(name, cell)
    try:
        moment = datetime.fromisoformat(told)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise BadRow(
            name, f"must be a time with its zone such as 2026-11-29T16:00Z, not {shown(told)}"
        )
    message = Timestamp()
    message.FromDatetime(moment)
    return message


STOCK: Final = Kind(
    Columns(
        (
            "product_id",
            "store_id",
            "quantity",
            "state",
            "reason",
            "reference",
            "occur_time",
            "request_id",
        ),
        ("product_id", "store_id", "quantity"),
        ("on_hand", "reserved", "available", "version", "position"),
    ),
    AddStockRequest,
    {"quantity": _quantity, "occur_time": _time},
    "product_id",
)


def shown(value: object) -> str:
    """Return *value* for an error, cut to a length."""
    whole = repr(value)
    return whole if len(whole) <= _SHOWN else f"{whole[:_SHOWN]}…"
