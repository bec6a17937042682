"""Ids with slashes, colons and dots stand in a URL and arrive as they are."""

from typing import Final
from urllib.parse import quote

import httpx
import pytest

IDS: Final = [
    "kettle/red",
    "lisbon:1",
    "lisbon:1:add",
    "kettle:add",
    "../..",
    "a/../b",
    "//",
    "/",
    ":",
    "-",
    "...",
    "stocks",
    "x" * 128,
    "a/" * 64,
]


@pytest.mark.parametrize("name", IDS)
def test_a_stock_of_this_name_is_changed_and_read(http: httpx.Client, name: str) -> None:
    for product, store in ((name, "lisbon"), ("pan", name), (name, name)):
        url = f"/v1/products/{quote(product, safe='')}/stocks/{quote(store, safe='')}"
        added = http.post(f"{url}:add", json={"quantity": 5})
        assert added.status_code == 200, added.text
        stock = http.get(url).json()["stock"]
        assert (stock["product_id"], stock["store_id"]) == (product, store)
        assert stock["available"] == "5"


@pytest.mark.parametrize("name", IDS)
def test_a_reservation_of_this_name_is_made_and_released(http: httpx.Client, name: str) -> None:
    http.post("/v1/products/teapot/stocks/lisbon:add", json={"quantity": 1})
    line = {"product_id": "teapot", "store_id": "lisbon", "quantity": 1}
    cart = {"reservation_id": name, "customer_id": "ana", "lines": [line]}
    assert http.post("/v1/reservations", json=cart).is_success
    url = f"/v1/reservations/{quote(name, safe='')}"
    assert http.get(url).json()["reservation"]["reservation_id"] == name
    assert http.post(f"{url}:release", json={}).is_success
    assert http.get(url).json()["reservation"]["state"] == "RESERVATION_STATE_RELEASED"


@pytest.mark.parametrize("name", [".", ".."])
def test_two_names_do_not_fit_in_a_url_but_into_a_body(http: httpx.Client, name: str) -> None:
    """A path is shortened at them before anything else, as RFC 3986 has it."""
    escaped = name.replace(".", "%2E")
    assert http.get(f"/v1/products/{escaped}/stocks/lisbon").status_code == 404
    command = {"add_stock": {"product_id": name, "store_id": "lisbon", "quantity": 5}}
    assert http.post("/v1/commands:batchExecute", json={"commands": [command]}).is_success
    keys = {"keys": [{"product_id": name, "store_id": "lisbon"}]}
    [stock] = http.post("/v1/stocks:batchGet", json=keys).json()["stocks"]
    assert (stock["product_id"], stock["available"]) == (name, "5")
