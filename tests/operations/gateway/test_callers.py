"""The server knows a caller by the token that the gateway passes on, and the log has no token."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from grpc import StatusCode

from tests.support.caller import adding, calling, refused
from tests.support.gateway import Gateway, gateway
from tests.support.keyring import Keyring, bearing
from tests.support.server_process import ServerProcess

URL: Final = "/v1/products/kettle/stocks/lisbon"
TRACE: Final = "4bf92f3577b34da6a3ce929d0e0e4736"


@pytest.fixture
def keyring(tmp_path: Path) -> Keyring:
    return Keyring(tmp_path / "callers.toml")


@pytest.fixture
def token(keyring: Keyring) -> str:
    """Return the token of a shop that may sell in Lisbon."""
    return keyring.add("checkout", "operator", stores=["lisbon"])


@pytest.fixture
def guarded(tmp_path: Path, keyring: Keyring, token: str) -> Iterator[Gateway]:
    """Run Envoy before a server that knows its callers."""
    del token  # it is in the file before the server reads that
    server = ServerProcess.begin(
        tmp_path / "inventory.db", tmp_path / "server.log", "--callers", str(keyring.path)
    )
    try:
        with gateway(tmp_path, [asyncio.run(server.address())]) as started:
            yield started
    finally:
        server.kill()


def test_a_token_opens_what_its_role_allows(guarded: Gateway, token: str) -> None:
    with guarded.http() as http:
        for headers in ({}, {"authorization": "Bearer wrong"}):
            answer = http.post(f"{URL}:add", json={"quantity": 5}, headers=headers)
            assert (answer.status_code, answer.json()["code"]) == (401, 16)
        http.headers["authorization"] = f"Bearer {token}"
        assert http.post(f"{URL}:add", json={"quantity": 5}).is_success
        foreign = http.post(f"{URL.replace('lisbon', 'porto')}:add", json={"quantity": 5})
        assert (foreign.status_code, foreign.json()["code"]) == (403, 7)
        [event] = http.get("/v1/events?filter.store_ids=lisbon").json()["events"]
        assert event["actor"] == "checkout"


async def test_a_token_opens_a_call_of_grpc(guarded: Gateway, token: str) -> None:
    async with calling(guarded.address) as caller:
        assert (await refused(caller.commands.AddStock(adding(5)))).code is (
            StatusCode.UNAUTHENTICATED
        )
        answer = await caller.commands.AddStock(adding(5), metadata=bearing(token))
        assert answer.stock.available == 5


def test_the_access_log_is_json_with_the_trace_and_without_the_token(
    guarded: Gateway, token: str
) -> None:
    headers = {
        "authorization": f"Bearer {token}",
        "traceparent": f"00-{TRACE}-00f067aa0ba902b7-01",
    }
    with guarded.http() as http:
        http.post(f"{URL}:add", json={"quantity": 5}, headers=headers)
        http.post(f"{URL}:add", json={"quantity": 5})
        http.get("/v1/kettles", headers={"x-envoy-original-path": "/v1/stocks"})
    traced, unknown, nowhere = guarded.logged()
    assert traced["trace_id"] == TRACE
    assert (traced["method"], traced["path"]) == ("POST", f"{URL}:add")
    assert (traced["http_status"], traced["grpc_status"]) == (200, "0")
    assert (unknown["http_status"], unknown["trace_id"]) == (401, None)
    assert (nowhere["method"], nowhere["http_status"], nowhere["backend"]) == ("GET", 404, None)
    assert nowhere["path"] == "/v1/kettles"
    assert token not in guarded.access_log.read_text("utf-8")
