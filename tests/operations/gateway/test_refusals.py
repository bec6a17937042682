"""A refusal comes as JSON with the status that its code has in HTTP, and with its details."""

import re
from pathlib import Path
from typing import Any, Final, NamedTuple

import httpx
import pytest

from tests.support.caller import CODES
from tests.support.documents import API, rows_of, text_of
from tests.support.gateway import gateway

KETTLES: Final = "/v1/products/kettle/stocks/lisbon"
LINE: Final = {"product_id": "kettle", "store_id": "lisbon", "quantity": 9}


class Refusal(NamedTuple):
    """A call that is refused, and how."""

    call: tuple[str, str, object]
    status: int
    code: int
    reason: str
    detail: str | None = None
    fields: dict[str, Any] = {}  # noqa: RUF012  never changed


REFUSALS: Final = {
    "malformed": Refusal(
        ("POST", f"{KETTLES}:add", {"quantity": 0}),
        400, 3, "INVALID_VALUE", "google.rpc.BadRequest",
    ),
    "no such stock": Refusal(
        ("GET", "/v1/products/toaster/stocks/lisbon", None), 404, 5, "STOCK_NOT_FOUND"
    ),
    "no such reservation": Refusal(
        ("POST", "/v1/reservations/nobody:commit", {}), 404, 5, "RESERVATION_NOT_FOUND"
    ),
    "too few": Refusal(
        ("POST", "/v1/reservations", {"customer_id": "ben", "lines": [LINE]}),
        400, 9, "INSUFFICIENT_STOCK", "inventory.v1.ShortLines",
        {"lines": [{"product_id": "kettle", "store_id": "lisbon", "asked": "9", "available": "3",
                    "shortfall": "6"}]},
    ),
    "too many": Refusal(
        ("POST", "/v1/reservations/cart-1:commit", {"lines": [LINE]}),
        400, 9, "EXCEEDS_RESERVATION", "inventory.v1.ShortLines",
    ),
    "another reservation has the id": Refusal(
        ("POST", "/v1/reservations",
         {"customer_id": "ben", "reservation_id": "cart-1", "lines": [LINE]}),
        409, 6, "RESERVATION_EXISTS",
    ),
    "another request has the id": Refusal(
        ("POST", f"{KETTLES}:add", {"quantity": 6, "request_id": "delivery-1"}),
        409, 6, "REQUEST_ID_REUSED",
    ),
    "stock has changed": Refusal(
        ("POST", f"{KETTLES}:add", {"quantity": 1, "expected_version": 7}),
        409, 10, "VERSION_CONFLICT", "inventory.v1.Stock", {"available": "3", "version": "2"},
    ),
    "position is ahead": Refusal(
        ("GET", f"{KETTLES}?as_of_position=1000", None), 400, 11, "POSITION_AHEAD"
    ),
    "another log": Refusal(
        ("GET", "/v1/events:subscribe?after_position=1&log_id=other", None),
        400, 9, "OTHER_LOG",
    ),
    "another log, by events": Refusal(
        ("GET", "/v1/events:sse?after_position=1&log_id=other", None), 400, 9, "OTHER_LOG"
    ),
}  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def _stock(http: httpx.Client) -> None:
    delivery = {"quantity": 5, "request_id": "delivery-1"}
    assert http.post(f"{KETTLES}:add", json=delivery).is_success
    cart = {"customer_id": "ana", "reservation_id": "cart-1", "lines": [{**LINE, "quantity": 2}]}
    assert http.post("/v1/reservations", json=cart).is_success


@pytest.mark.parametrize("name", REFUSALS)
def test_a_refusal_comes_with_its_details(http: httpx.Client, name: str) -> None:
    (method, url, body), status, code, reason, detail, fields = REFUSALS[name]
    answer = http.request(method, url, json=body)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    told = answer.json()
    assert told["code"] == code
    assert told["message"]
    details = {one.pop("@type").rpartition("/")[2]: one for one in told["details"]}
    assert details["google.rpc.ErrorInfo"]["reason"] == reason
    assert details["google.rpc.ErrorInfo"]["domain"] == "inventory.v1"
    assert set(details) == {"google.rpc.ErrorInfo"} | ({detail} if detail else set())
    if detail:
        assert {name: details[detail].get(name) for name in fields} == fields


def test_the_statuses_are_those_of_the_table() -> None:
    rows = [re.findall(r"\w+", status) for status, _ in rows_of(text_of(API), "status", "codes")]
    codes = [re.findall(r"\w+", codes) for _, codes in rows_of(text_of(API), "status", "codes")]
    told = {
        code: int(statuses[min(at, len(statuses) - 1)])
        for statuses, named in zip(rows, codes, strict=True)
        for at, code in enumerate(named)
    }
    assert {CODES[one.code].name: one.status for one in REFUSALS.values()}.items() <= told.items()


def test_a_refusal_among_others_in_a_batch_comes_with_its_details(http: httpx.Client) -> None:
    command = {"reserve_stock": {"customer_id": "ben", "lines": [LINE]}}
    answer = http.post("/v1/commands:batchExecute", json={"commands": [command]})
    assert answer.status_code == 200
    [result] = answer.json()["results"]
    assert result["error"]["code"] == 9
    info, short = result["error"]["details"]
    assert info["reason"] == "INSUFFICIENT_STOCK"
    assert short["lines"][0]["available"] == "3"


@pytest.mark.parametrize(
    ("method", "url", "body", "status", "word"),
    [
        ("GET", "/v1/kettles", None, 404, "/v1/kettles"),
        ("GET", "/", None, 404, "/"),
        ("DELETE", KETTLES, None, 404, KETTLES),
        ("POST", f"{KETTLES}:steal", {}, 404, ":steal"),
        ("GET", "/v1/stocks?kettles=1", None, 400, "kettles"),
        ("POST", f"{KETTLES}:add", {"quantity": "many"}, 400, "quantity"),
        ("POST", f"{KETTLES}:add", {"product_id": "toaster", "quantity": 1}, 400, "product_id"),
    ],
)
def test_a_mistake_in_a_url_or_a_body_is_refused_in_words(  # noqa: PLR0917  one row each
    http: httpx.Client, method: str, url: str, body: object, status: int, word: str
) -> None:
    answer = http.request(method, url, json=body)
    told = answer.json()
    code = {400: 3, 404: 5}[status]
    assert (answer.status_code, told["code"], told["details"]) == (status, code, []), told
    assert word in told["message"]


def test_json_that_is_none_is_refused_in_words(http: httpx.Client) -> None:
    answer = http.post(f"{KETTLES}:add", content="{quantity: 5")
    assert (answer.status_code, answer.json()["code"]) == (400, 3)
    assert answer.json()["message"]


def test_more_than_the_gateway_takes_is_refused(http: httpx.Client) -> None:
    answer = http.post(f"{KETTLES}:add", json={"reason": "x" * 5_000_000})
    assert (answer.status_code, answer.json()["code"]) == (413, 3)


def test_more_than_the_server_takes_is_refused_by_the_server(http: httpx.Client) -> None:
    answer = http.post(f"{KETTLES}:add", json={"reason": "x" * 2_000_000})
    assert (answer.status_code, answer.json()["code"]) == (429, 8)
    assert "larger than max" in answer.json()["message"]


def test_a_field_in_the_body_that_the_api_does_not_have_is_ignored(http: httpx.Client) -> None:
    """Envoy can refuse unknown fields in the query only; the handbook says so."""
    answer = http.post("/v1/products/pan/stocks/lisbon:add", json={"quantity": 5, "kettles": 1})
    assert answer.status_code == 200


def test_a_header_with_an_underscore_is_refused(http: httpx.Client) -> None:
    assert http.get("/v1/serverInfo", headers={"x_kettle": "1"}).status_code == 400


def test_without_a_backend_all_is_refused_as_unavailable(tmp_path: Path) -> None:
    with gateway(tmp_path, []) as alone, alone.http() as http:
        for url in ("/healthz", "/v1/serverInfo", KETTLES):
            answer = http.get(url)
            assert (answer.status_code, answer.json()["code"]) == (503, 14), url
