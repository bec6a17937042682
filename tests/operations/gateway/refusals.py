"""A call for each refusal of the service, and the answer of the gateway to it."""

import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from tests.operations.gateway import troubled
from tests.operations.gateway.troubled import Call, Trouble

KETTLES: Final = "/v1/products/kettle/stocks/lisbon"
NINE: Final = {"product_id": "kettle", "store_id": "lisbon", "quantity": 9}
ADD_ONE: Final = Call("POST", f"{KETTLES}:add", {"quantity": 1})
LIST: Final = Call("GET", "/v1/stocks")
SHORT: Final = "inventory.v1.ShortLines"
RETRY: Final = "google.rpc.RetryInfo"


class Refused(NamedTuple):
    """A call that is refused, and how."""

    call: Call
    status: int
    code: int
    reason: str
    metadata: Mapping[str, str | re.Pattern[str]]
    detail: str | None = None
    """The message that comes with the reason."""
    fields: Mapping[str, Any] = {}
    """Some of its fields."""
    trouble: Trouble = troubled.no_trouble
    """The state of the server."""


ANY: Final = re.compile(r".+")
NUMBER: Final = re.compile(r"\d+")
SECONDS: Final = {"retry_delay": re.compile(r"[\d.]+s")}
THE_STOCK: Final = {"product_id": "kettle", "store_id": "lisbon"}


def _short(asked: int, available: int) -> dict[str, Any]:
    short = {"asked": f"{asked}", "available": f"{available}", "shortfall": f"{asked - available}"}
    return {"lines": [{**THE_STOCK, **short}]}


REFUSALS: Final[Mapping[str, Refused]] = {
    "a quantity of zero": Refused(
        Call("POST", f"{KETTLES}:add", {"quantity": 0}),
        400, 3, "INVALID_VALUE", {"violations": "1"}, "google.rpc.BadRequest",
        {"field_violations": [{"field": "quantity", "description": ANY, "reason": ""}]},
    ),
    "a stock that never was": Refused(
        Call("GET", "/v1/products/toaster/stocks/lisbon"),
        404, 5, "STOCK_NOT_FOUND", {"product_id": "toaster", "store_id": "lisbon"},
    ),
    "a product that was never put": Refused(
        Call("GET", "/v1/products/kettle"),
        404, 5, "SUBJECT_NOT_FOUND", {"subject": "product/kettle"},
    ),
    "a stock of a product that was never put": Refused(
        Call("POST", "/v1/products/toaster/stocks/lisbon:add", {"quantity": 1}),
        400, 9, "NOT_IN_CATALOGUE", {"product_id": "toaster"}, trouble=troubled.strict,
    ),
    "a stock of a store that is retired": Refused(
        Call("POST", "/v1/products/kettle/stocks/porto:add", {"quantity": 1}),
        400, 9, "RETIRED", {"store_id": "porto"}, trouble=troubled.retired,
    ),
    "a reservation that never was": Refused(
        Call("POST", "/v1/reservations/nobody:commit", {}),
        404, 5, "RESERVATION_NOT_FOUND", {"reservation_id": "nobody"},
    ),
    "the id of another reservation": Refused(
        Call("POST", "/v1/reservations",
             {"customer_id": "ben", "reservation_id": "cart-1", "lines": [NINE]}),
        409, 6, "RESERVATION_EXISTS", {"reservation_id": "cart-1"},
    ),
    "the id of another request": Refused(
        Call("POST", f"{KETTLES}:add", {"quantity": 6, "request_id": "delivery-1"}),
        409, 6, "REQUEST_ID_REUSED", {"request_id": "delivery-1"},
    ),
    "more than is available": Refused(
        Call("POST", "/v1/reservations", {"customer_id": "ben", "lines": [NINE]}),
        400, 9, "INSUFFICIENT_STOCK", {"short_lines": "1"}, SHORT, _short(9, 2),
    ),
    "more than is held": Refused(
        Call("POST", "/v1/reservations/cart-1:commit", {"lines": [NINE]}),
        400, 9, "EXCEEDS_RESERVATION", {"reservation_id": "cart-1", "short_lines": "1"},
        SHORT, _short(9, 2),
    ),
    "a reservation that is over": Refused(
        Call("POST", "/v1/reservations/cart-2:commit", {}),
        400, 9, "RESERVATION_CLOSED", {"reservation_id": "cart-2", "state": "RELEASED"},
    ),
    "a promise that is reversed": Refused(
        Call("POST", "/v1/events/2:reverse", {"reason": "a typo"}),
        400, 9, "NOT_REVERSIBLE", {"position": "2", "why": "fact"},
    ),
    "an event that is reversed again": Refused(
        Call("POST", "/v1/events/5:reverse", {"reason": "a typo"}),
        400, 9, "ALREADY_REVERSED", {"position": "5", "by_position": "6"},
    ),
    "more than can be counted": Refused(
        Call("POST", f"{KETTLES}:adjust",
             {"on_hand": 10**15 + 1, "expected_version": 4, "reason": "count"}),
        400, 9, "LEVEL_TOO_HIGH", {**THE_STOCK, "limit": f"{10**15}"},
    ),
    "more events than a command has": Refused(
        Call("POST", "/v1/commands:batchExecute",
             {"atomic": True, "commands": [{"add_stock": {**THE_STOCK, "quantity": 1}}] * 501}),
        400, 9, "COMMAND_TOO_LARGE", {"events": "501", "limit": "500"},
    ),
    "a stock that has changed": Refused(
        Call("POST", f"{KETTLES}:add", {"quantity": 1, "expected_version": 7}),
        409, 10, "VERSION_CONFLICT", {**THE_STOCK, "expected_version": "7", "version": "4"},
        "inventory.v1.Stock", {"available": "2", "version": "4"},
    ),
    "a position that is ahead": Refused(
        Call("GET", f"{KETTLES}?as_of_position=1000"),
        400, 11, "POSITION_AHEAD", {"position": "1000", "head_position": NUMBER},
    ),
    "a position of another log": Refused(
        Call("GET", "/v1/events:subscribe?after_position=1&log_id=other"),
        400, 9, "OTHER_LOG", {"log_id": ANY, "asked_log_id": "other"},
    ),
    "a position of another log, by events": Refused(
        Call("GET", "/v1/events:sse?after_position=1&log_id=other"),
        400, 9, "OTHER_LOG", {"log_id": ANY, "asked_log_id": "other"},
    ),
    "no token": Refused(
        ADD_ONE._replace(caller=""), 401, 16, "UNAUTHENTICATED", {},
    ),
    "a role that may not": Refused(
        ADD_ONE._replace(caller="reader"),
        403, 7, "PERMISSION_DENIED", {"method": "/inventory.v1.InventoryCommands/AddStock"},
    ),
    "a store of others": Refused(
        LIST._replace(url="/v1/stocks?store_ids=lisbon", caller="reader"),
        403, 7, "PERMISSION_DENIED", {"store_id": "lisbon"},
    ),
    "one subscription too many": Refused(
        Call("GET", "/v1/events:sse?stop_at_head=true"),
        429, 8, "OVERLOADED", {"retry_ms": "1000"}, RETRY, {"retry_delay": "1s"},
        troubled.crowded,
    ),
    "a bug": Refused(
        ADD_ONE, 500, 13, "INTERNAL", {"error_id": re.compile(r"[0-9a-f]{8}")},
        trouble=troubled.buggy,
    ),
    "a disk that cannot be read": Refused(
        LIST, 503, 14, "READS_REFUSED",
        {"retry_ms": "500", "why": re.compile("storage failed.*")}, RETRY, SECONDS,
        troubled.unreadable,
    ),
    "a page that is damaged": Refused(
        LIST, 500, 15, "LOG_DAMAGED", {}, trouble=troubled.damaged,
    ),
    "a sync that fails": Refused(
        ADD_ONE._replace(body={"quantity": 1, "request_id": "delivery-2"}),
        503, 14, "OUTCOME_UNKNOWN", {"request_id": "delivery-2"}, trouble=troubled.unsynced,
    ),
    "a disk that has failed before": Refused(
        ADD_ONE, 503, 14, "WRITES_REFUSED",
        {"retry_ms": NUMBER, "why": re.compile("storage failed.*")}, RETRY, SECONDS,
        troubled.broken,
    ),
    "a file that may only be read": Refused(
        ADD_ONE, 503, 14, "WRITES_REFUSED",
        {"retry_ms": NUMBER, "why": re.compile("the database is read-only.*")}, RETRY, SECONDS,
        troubled.read_only,
    ),
    "a full disk": Refused(
        ADD_ONE, 503, 14, "STORAGE_FULL", {"retry_ms": NUMBER}, RETRY, SECONDS, troubled.full,
    ),
    # the last one: afterwards there is no server
    "a server that stops": Refused(
        ADD_ONE, 503, 14, "SHUTTING_DOWN", {"retry_ms": "1000"}, RETRY, {"retry_delay": "1s"},
        troubled.stopping,
    ),
}  # fmt: skip
"""By the cause. All reasons are among them, which a test compares with those of the service."""
