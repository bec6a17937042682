"""The kinds of rows, and the requests that they become."""

import json
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple

from google.protobuf.timestamp_pb2 import Timestamp

from inventory_grpc.cli.files.options import Rows
from inventory_grpc.cli.files.table import Columns, unique
from inventory_grpc.cli.files.text import BadRow
from inventory_grpc_protos.v1.catalogue_pb2 import StoreKind
from inventory_grpc_protos.v1.commands_pb2 import (
    AddStockRequest,
    PutProductRequest,
    PutStoreRequest,
    RetireProductRequest,
    RetireStoreRequest,
)

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
    led_by: str = ""
    """The column that the ids of rows begin with. None where a row that is sent again does no
    harm, because it says what is so from now on."""
    retire: Callable[..., Any] | None = None
    """The request that follows where the column `state` is `RETIRED`."""


def text(name: str, cell: Any) -> str:  # noqa: ANN401  any value of JSON
    if not isinstance(cell, str):
        raise BadRow(name, f"must be a text, not {shown(cell)}")
    return cell


def _quantity(name: str, cell: Any) -> int:  # noqa: ANN401  as above
    is_number = isinstance(cell, int) and not isinstance(cell, bool)
    told = str(cell) if is_number else cell
    if not isinstance(told, str):
        raise BadRow(name, f"must be a whole number such as 5, not {shown(cell)}")
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


def _attributes(name: str, cell: Any) -> dict[str, str]:  # noqa: ANN401  as above
    values = _parsed(name, cell) if isinstance(cell, str) else cell
    if not isinstance(values, dict) or not all(isinstance(one, str) for one in values.values()):
        raise BadRow(
            name, f'must be an object of texts such as {{"colour": "red"}}, not {shown(cell)}'
        )
    return values


def _parsed(name: str, cell: str) -> Any:  # noqa: ANN401  as above
    try:
        return json.loads(cell, object_pairs_hook=unique)
    except (ValueError, RecursionError) as error:
        raise BadRow(name, f"is not JSON: {error}") from None


def _groups(name: str, cell: Any) -> list[str]:  # noqa: ANN401  as above
    values = cell.split() if isinstance(cell, str) else cell
    if not isinstance(values, list) or not all(isinstance(one, str) for one in values):
        raise BadRow(name, f"must be names with spaces between them, not {shown(cell)}")
    return values


def _store_kind(name: str, cell: Any) -> int:  # noqa: ANN401  as above
    found = f"STORE_KIND_{text(name, cell).upper()}"
    if not (number := dict(StoreKind.items()).get(found)):
        raise BadRow(name, f"must be STORE, WAREHOUSE or VIRTUAL, not {shown(cell)}")
    return number


def _is_retired(name: str, cell: Any) -> bool:  # noqa: ANN401  as above
    told = text(name, cell).upper()
    if told not in {"ACTIVE", "RETIRED"}:
        raise BadRow(name, f"must be ACTIVE or RETIRED, not {shown(cell)}")
    return told == "RETIRED"


_COMMON: Final = ("reason", "reference", "occur_time", "request_id")

STOCK: Final = Kind(
    Columns(
        (
            "product_id",
            "store_id",
            "quantity",
            "state",
            *_COMMON,
        ),
        ("product_id", "store_id", "quantity"),
        ("on_hand", "reserved", "available", "version", "position"),
    ),
    AddStockRequest,
    {"quantity": _quantity, "occur_time": _time},
    "product_id",
)


_CATALOGUE: Final[Mapping[str, Reader]] = {"state": _is_retired, "occur_time": _time}
_PASSED_OVER: Final = ("version", "position")

PRODUCTS: Final = Kind(
    Columns(
        ("product_id", "sku", "name", "attributes", "state", *_COMMON),
        ("product_id",),
        _PASSED_OVER,
    ),
    PutProductRequest,
    {**_CATALOGUE, "attributes": _attributes},
    retire=RetireProductRequest,
)

STORES: Final = Kind(
    Columns(
        ("store_id", "kind", "name", "groups", "state", *_COMMON),
        ("store_id", "kind"),
        _PASSED_OVER,
    ),
    PutStoreRequest,
    {**_CATALOGUE, "kind": _store_kind, "groups": _groups},
    retire=RetireStoreRequest,
)

KINDS: Final = {Rows.STOCK: STOCK, Rows.PRODUCTS: PRODUCTS, Rows.STORES: STORES}


def shown(value: object) -> str:
    """Return *value* for an error, cut to a length."""
    whole = repr(value)
    return whole if len(whole) <= _SHOWN else f"{whole[:_SHOWN]}…"
