"""The gateway refuses what is too much, in the form of each protocol, and answers health."""

import asyncio
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import httpx
import pytest
from grpc import StatusCode

from inventory_grpc.presentation import stalled_readers
from inventory_grpc_protos.v1.admin_pb2 import GetServerInfoRequest
from tests.support.caller import calling, refused
from tests.support.documents import ROOT, text_of
from tests.support.gateway import (
    Config,
    Gateway,
    configuration,
    connection_manager,
    gateway,
    http_filter,
    routes,
)
from tests.support.server_process import ServerProcess

GATEWAY: Final = ROOT / "scripts/deploy/envoy/README.md"
INFO: Final = "/inventory.v1.InventoryAdmin/GetServerInfo"


def test_the_limits_of_the_document_are_those_of_the_configuration() -> None:
    config = configuration()
    manager = connection_manager(config)
    bucket = http_filter(config, "local_ratelimit")["token_bucket"]
    [monitor] = config["overload_manager"]["resource_monitors"]
    body = http_filter(config, "buffer")["max_request_bytes"]
    timeouts = {one["route"]["timeout"] for one in routes(config)}
    assert timeouts == {"0s", "30s"}
    for words in (
        f"| `{bucket['tokens_per_fill']}` a second, `{bucket['max_tokens']}` at once |",
        f"| `{monitor['typed_config']['max_active_downstream_connections']}` | closed |",
        f"| a URL and headers together | {manager['max_request_headers_kb']} KiB |",
        f"| a body in JSON | {body // 2**20} MiB;",
        "| a call; a subscription | 30 s; no end |",
        f"| silence in the middle of a request | {manager['stream_idle_timeout'][:-1]} s |",
        f"one that reads nothing for {stalled_readers.MAX_SECONDS:.0f} seconds",
    ):
        assert words in " ".join(text_of(GATEWAY).split()), words


def test_slow_readers_leave_room_on_a_connection_for_others() -> None:
    [cluster] = configuration()["static_resources"]["clusters"]
    [options] = cluster["typed_extension_protocol_options"].values()
    http2 = options["explicit_http_config"]["http2_protocol_options"]
    held = http2["max_concurrent_streams"] * http2["initial_stream_window_size"]
    assert held < http2["initial_connection_window_size"]


def _three_an_hour(config: Config) -> None:
    bucket = http_filter(config, "local_ratelimit")["token_bucket"]
    bucket.update(max_tokens=3, tokens_per_fill=1, fill_interval="3600s")


@pytest.fixture
def busy(tmp_path: Path, backend: str) -> Iterator[Gateway]:
    """Run an Envoy that has let in as many calls as it may."""
    with gateway(tmp_path, [backend], _three_an_hour) as started:
        with started.http() as http:
            assert [http.get("/v1/serverInfo").status_code for _ in range(3)] == [200] * 3
        yield started


async def test_one_call_too_many_is_refused_in_the_form_of_its_protocol(busy: Gateway) -> None:
    with busy.http() as http:
        for url in ("/v1/serverInfo", "/v1/events:sse"):
            _assert_is_refused(http.get(url))
        web = {"content-type": "application/grpc-web+proto", "origin": "https://shop.example"}
        answer = http.post(INFO, content=b"\0\0\0\0\0", headers=web)
        assert answer.headers["access-control-allow-origin"] == "https://shop.example"
        assert answer.status_code == 429 or answer.headers["grpc-status"] == "8"
        assert http.get("/healthz").is_success
    async with calling(busy.address) as caller:
        refusal = await refused(caller.admin.GetServerInfo(GetServerInfoRequest()))
        assert refusal.code is StatusCode.RESOURCE_EXHAUSTED


def _soon(config: Config) -> None:
    for route in routes(config):
        if route["route"]["timeout"] != "0s":
            route["route"].update(timeout="0.3s", retry_policy=None)


def test_a_call_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    server = ServerProcess.begin(tmp_path / "inventory.db", tmp_path / "server.log")
    try:
        with gateway(tmp_path, [asyncio.run(server.address())], _soon) as started:
            server.process.send_signal(signal.SIGSTOP)
            with started.http() as http:
                answer = http.post("/v1/products/kettle/stocks/lisbon:add", json={"quantity": 5})
        assert (answer.status_code, answer.json()["code"]) == (504, 14)
    finally:
        server.kill()


def test_a_page_that_is_longer_than_a_mebibyte_is_answered(tmp_path: Path, backend: str) -> None:
    texts = {"reason": "r" * 512, "reference": "r" * 512}
    add = {"product_id": "kettle", "store_id": "lisbon", "quantity": 1, **texts}
    with gateway(tmp_path, [backend]) as started, started.http() as http:
        commands = {"commands": [{"add_stock": add}] * 800}
        for _ in range(2):
            assert http.post("/v1/commands:batchExecute", json=commands).is_success
        page = http.get("/v1/events?page_size=1000&newest_first=true")
    assert page.status_code == 200, page.text
    assert len(page.content) > 1_048_576
    assert page.json()["events"]


def _assert_is_refused(answer: httpx.Response) -> None:
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "1")
    assert answer.headers["content-type"] == "application/json"
    told = answer.json()
    assert (told["code"], told["details"]) == (8, [])
    assert told["message"]
