"""The queries of the pages: `GET /api/<name>`, with the fields of the query as parameters."""

import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, NamedTuple

from google.protobuf.message import Message
from starlette.datastructures import QueryParams

from inventory_grpc.client import InventoryClient
from inventory_grpc.client.plain import plain
from inventory_grpc.console.wire import event_of

PAGE: Final = 100
"""The most rows in an answer."""

_NUMBER: Final = re.compile(r"[0-9]{1,15}", re.ASCII)


class BadParameter(ValueError):
    """A parameter of a query is unknown, missing or malformed."""


def _text(value: str) -> str:
    return value


def _number(value: str) -> int:
    if not _NUMBER.fullmatch(value):
        raise BadParameter(f"{value!r:.40} is not a number")
    return int(value)


def _flag(value: str) -> bool:
    if value not in {"0", "1"}:
        raise BadParameter(f"{value!r:.40} is neither 0 nor 1")
    return value == "1"


def _list(value: str) -> list[str]:
    return [value]


class Parameter(NamedTuple):
    """The keyword of a parameter, and what reads its value."""

    keyword: str
    read: Callable[[str], object] = _text


class Query(NamedTuple):
    call: Callable[..., Awaitable[Message]]
    parameters: Mapping[str, Parameter]
    rows: str = ""
    """The field with the rows of a page; empty where the answer is no page."""

    async def answer(self, client: InventoryClient, given: QueryParams) -> dict[str, Any]:
        """Return the answer to the query with the parameters that are *given*.

        Raises:
            BadParameter: one of them is wrong.
            InventoryError: the server has refused it, or cannot be reached.
        """
        named: dict[str, Any] = {"page_size": PAGE} if self.rows else {}
        for name, value in given.multi_items():
            if (parameter := self.parameters.get(name)) is None:
                raise BadParameter(f"{name!r:.40} is no parameter of this")
            if value:
                named[parameter.keyword] = parameter.read(value)
        try:
            found = await self.call(client, **named)
        except TypeError as error:
            raise BadParameter(str(error)) from error
        return _shown(found, self.rows)


def _shown(message: Message, rows: str) -> dict[str, Any]:
    if rows != "events":
        return plain(message)
    found = [event_of(event) for event in getattr(message, rows)]
    message.ClearField(rows)
    return plain(message) | {rows: found}


_PAGED: Final = {"page_token": Parameter("page_token")}
_STOCK: Final = {"product": Parameter("product_id"), "store": Parameter("store_id")}

QUERIES: Final[Mapping[str, Query]] = {
    "server": Query(InventoryClient.get_server_info, {}),
    "stock": Query(
        InventoryClient.get_stock,
        {**_STOCK, "as_of_position": Parameter("as_of_position", _number)},
    ),
    "stocks": Query(
        InventoryClient.list_stock,
        {
            "product": Parameter("product_ids", _list),
            "store": Parameter("store_ids", _list),
            "max_available": Parameter("max_available", _number),
            "low": Parameter("low_stock", _flag),
            "short": Parameter("short", _flag),
            "backordered": Parameter("backordered", _flag),
            **_PAGED,
        },
        "stocks",
    ),
    "reservation": Query(
        InventoryClient.get_reservation, {"reservation": Parameter("reservation_id")}
    ),
    "reservations": Query(
        InventoryClient.list_reservations,
        {
            "customer": Parameter("customer_id"),
            "order": Parameter("order_id"),
            "state": Parameter("states", _list),
            **_STOCK,
            **_PAGED,
        },
        "reservations",
    ),
    "at-risk": Query(InventoryClient.list_reservations_at_risk, _PAGED, "lines"),
    "events": Query(
        InventoryClient.list_events,
        {
            "type": Parameter("event_types", _list),
            "product": Parameter("product_ids", _list),
            "store": Parameter("store_ids", _list),
            "reservation": Parameter("reservation_ids", _list),
            "after": Parameter("after_position", _number),
            "before": Parameter("before_position", _number),
            "newest_first": Parameter("newest_first", _flag),
            **_PAGED,
        },
        "events",
    ),
}
