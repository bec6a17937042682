"""A mistake in a request is refused in words, and harms nobody else."""

from pathlib import Path
from time import sleep
from typing import Final

import httpx
import pytest

from tests.support.gateway import gateway

KETTLES: Final = "/v1/products/kettle/stocks/lisbon"
NOBODY: Final = "127.0.0.1:1"
"""An address without a server."""


def test_a_refusal_among_others_in_a_batch_comes_with_its_details(http: httpx.Client) -> None:
    line = {"product_id": "toaster", "store_id": "lisbon", "quantity": 9}
    command = {"reserve_stock": {"customer_id": "ben", "lines": [line]}}
    answer = http.post("/v1/commands:batchExecute", json={"commands": [command]})
    assert answer.status_code == 200
    [result] = answer.json()["results"]
    assert result["error"]["code"] == 9
    info, short = result["error"]["details"]
    assert info["reason"] == "INSUFFICIENT_STOCK"
    assert short["lines"][0]["shortfall"] == "9"


@pytest.mark.parametrize(
    ("method", "url", "body", "status", "word"),
    [
        ("GET", "/v1/kettles", None, 404, "/v1/kettles"),
        ("GET", "/", None, 404, "/"),
        ("DELETE", KETTLES, None, 404, f"DELETE {KETTLES}"),
        ("GET", f"{KETTLES}:add?quantity=5", None, 404, f"GET {KETTLES}:add?quantity=5"),
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


def test_a_body_that_is_too_long_for_the_gateway_is_refused(http: httpx.Client) -> None:
    answer = http.post(f"{KETTLES}:add", json={"reason": "x" * 5_000_000})
    assert (answer.status_code, answer.json()["code"]) == (413, 3)


@pytest.mark.parametrize("long", ["header", "URL"])
def test_too_long_a_head_is_refused_each_time(http: httpx.Client, long: str) -> None:
    statuses = set()
    for size in (*range(4_000, 10_000, 100), 20_000, 50_000):
        text = "ab~" * (size // 3)
        headers, query = ({"x-big": text}, "") if long == "header" else ({}, f"?page_token={text}")
        answer = http.get(f"/v1/stocks{query}", headers=headers)
        # Here the token is wrong, which only the server knows.
        served = answer.status_code == (200 if long == "header" else 400) and size < 6_144
        assert served or answer.status_code == 431, (size, answer.text)
        statuses.add(answer.status_code)
    assert len(statuses) == 2


def test_a_call_that_is_malformed_takes_the_server_from_nobody_else(
    tmp_path: Path, backend: str
) -> None:
    """The server resets a call of gRPC without `te`; the gateway must not blame the server."""
    headers = {"content-type": "application/grpc"}
    with gateway(tmp_path, [backend, NOBODY], healthy=1) as started, started.http() as http:
        for _ in range(5):
            broken = http.post("/inventory.v1.InventoryCommands/AddStock", headers=headers)
            assert broken.headers["grpc-status"] == "14"
        sleep(0.1)  # in which the gateway would have drawn its conclusions
        assert started.healthy_backends() == 1
        assert http.get("/v1/stocks").status_code == 200


def test_a_field_in_the_body_that_the_api_does_not_have_is_ignored(http: httpx.Client) -> None:
    """Envoy can refuse unknown fields in the query only; the description of the API says so."""
    answer = http.post("/v1/products/pan/stocks/lisbon:add", json={"quantity": 5, "kettles": 1})
    assert answer.status_code == 200


def test_a_header_with_an_underscore_is_refused(http: httpx.Client) -> None:
    assert http.get("/v1/serverInfo", headers={"x_kettle": "1"}).status_code == 400


def test_no_header_of_a_caller_changes_how_long_the_gateway_waits(http: httpx.Client) -> None:
    headers = {"x-envoy-upstream-rq-timeout-ms": "1", "x-envoy-expected-rq-timeout-ms": "1"}
    add = {"product_id": "pan", "store_id": "lisbon", "quantity": 1}
    commands = {"commands": [{"add_stock": add}] * 1_000}
    answer = http.post("/v1/commands:batchExecute", json=commands, headers=headers)
    assert answer.status_code == 200


def test_without_a_backend_all_is_refused_as_unavailable(tmp_path: Path) -> None:
    with gateway(tmp_path, []) as alone, alone.http() as http:
        for url in ("/healthz", "/v1/serverInfo", KETTLES):
            answer = http.get(url)
            assert (answer.status_code, answer.json()["code"]) == (503, 14), url
            assert "healthy" in answer.json()["message"], url
