"""`Subscribe` comes live: as a line of JSON for each message, or as server-sent events."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from time import sleep
from typing import Any, Final

import httpx
import pytest
from google.protobuf.duration_pb2 import Duration
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse

from inventory_grpc_protos.v1.events_pb2 import SubscribeRequest
from tests.support.caller import adding, calling, message
from tests.support.gateway import (
    SECONDS,
    Config,
    Gateway,
    connection_manager,
    gateway,
    routes,
    wait_until,
)

STYLES: Final = {
    "lines": ("/v1/events:subscribe", "application/json", ""),
    "events": ("/v1/events:sse", "text/event-stream", "data: "),
}

LEFT: Final = '"method":"/inventory.v1.InventoryEvents/Subscribe","code":"CANCELLED"'
"""The part of a line in the server's log that says so."""


def deliver(envoy: Gateway, product: str) -> None:
    with envoy.http() as http:
        delivery = {"quantity": 5}
        assert http.post(f"/v1/products/{product}/stocks/lisbon:add", json=delivery).is_success


def messages(response: httpx.Response, mark: str) -> Iterator[dict[str, Any]]:
    """Yield the messages of a stream; each begins with *mark* in a line of its own."""
    for line in response.iter_lines():
        if line:
            assert line.startswith(mark), line
            yield json.loads(line.removeprefix(mark))


@pytest.mark.parametrize("style", STYLES)
def test_an_event_arrives_while_the_stream_is_open(envoy: Gateway, style: str) -> None:
    url, content_type, mark = STYLES[style]
    query = {"filter.product_ids": style, "heartbeat": "1s"}
    with envoy.http() as http, http.stream("GET", url, params=query) as response:
        assert response.status_code == 200
        assert response.headers["content-type"] == content_type
        received = messages(response, mark)
        assert next(received)["log_id"]
        for _ in range(3):
            deliver(envoy, style)
            event = next(message["events"] for message in received if message["events"])[0]
            assert (event["product_id"], event["stock_added"]["quantity"]) == (style, "5")


@pytest.mark.parametrize("style", STYLES)
def test_a_stream_resumes_and_ends_at_the_head(envoy: Gateway, style: str) -> None:
    url, _, mark = STYLES[style]
    product = f"resumed-{style}"
    for _ in range(3):
        deliver(envoy, product)
    query = {"filter.product_ids": product, "stop_at_head": "true"}
    with envoy.http() as http:
        told = list(messages(http.get(url, params=query), mark))
        positions = [event["position"] for message in told for event in message["events"]]
        assert len(positions) == 3
        again = http.get(url, params={**query, "after_position": positions[0]})
        resumed = [event for message in messages(again, mark) for event in message["events"]]
    assert [event["position"] for event in resumed] == positions[1:]


@pytest.fixture(scope="module")
def long_log(envoy: Gateway) -> int:
    """Record megabytes; return how many events they are."""
    line = {"product_id": "many", "store_id": "lisbon", "quantity": 1, "reason": "r" * 512}
    with envoy.http() as http:
        for _ in range(10):
            commands = {"commands": [{"add_stock": line}] * 1_000}
            assert http.post("/v1/commands:batchExecute", json=commands).is_success
    return 10_000


@pytest.mark.parametrize("style", STYLES)
def test_a_reader_that_rests_gets_every_event(envoy: Gateway, long_log: int, style: str) -> None:
    url, _, mark = STYLES[style]
    query = {"filter.product_ids": "many", "stop_at_head": "true"}
    events = 0
    with envoy.http() as http, http.stream("GET", url, params=query) as response:
        for number, message in enumerate(messages(response, mark)):
            if number < 3:
                # While it rests, the server sends as much as the gateway takes.
                sleep(0.3)
            events += len(message["events"])
    assert message["caught_up"]
    assert events == long_log


@pytest.mark.parametrize("style", STYLES)
def test_a_reader_that_leaves_is_gone_for_the_server_too(
    envoy: Gateway, folder: Path, style: str
) -> None:
    url, _, mark = STYLES[style]

    def gone() -> int:
        return (folder / "server.log").read_text("utf-8").count(LEFT)

    before = gone()
    with envoy.http() as http, http.stream("GET", url, params={"from_now": "true"}) as response:
        next(messages(response, mark))
    wait_until(lambda: gone() > before)


def _soon(config: Config) -> None:
    """End each call and each silence early, except where it may last."""
    connection_manager(config)["stream_idle_timeout"] = "0.5s"
    for route in routes(config):
        for name in ("timeout", "idle_timeout"):
            if route["route"].get(name, "0s") != "0s":
                route["route"][name] = "0.5s"


@pytest.fixture(scope="module")
def hasty(folder: Path, backend: str) -> Iterator[Gateway]:
    with gateway(folder, [backend], _soon) as started:
        yield started


@pytest.mark.parametrize("style", STYLES)
def test_a_stream_lasts_longer_than_a_call_and_a_silence(hasty: Gateway, style: str) -> None:
    url, _, mark = STYLES[style]
    query = {"from_now": "true", "filter.product_ids": "never", "heartbeat": "1s"}
    with hasty.http() as http, http.stream("GET", url, params=query) as response:
        received = messages(response, mark)
        assert all(next(received)["events"] == [] for _ in range(4))


async def test_streams_of_grpc_last_as_long(hasty: Gateway) -> None:
    async with calling(hasty.address) as caller:
        watched = caller.health.Watch(HealthCheckRequest())
        assert (await watched.read()).status == HealthCheckResponse.SERVING
        stream: Any = caller.commands.ExecuteStream()
        request = SubscribeRequest(from_now=True, heartbeat=Duration(seconds=1))
        following = aiter(caller.events.Subscribe(request))
        for _ in range(4):
            await anext(following)
        await stream.write(message(adding(5, "pan")))
        assert (await stream.read()).results[0].version == 1
        assert not watched.done()


def test_a_request_that_stops_in_the_middle_is_ended(hasty: Gateway) -> None:
    host, _, port = hasty.address.partition(":")
    head = (
        "POST /v1/products/pan/stocks/lisbon:add HTTP/1.1\r\nhost: x\r\ncontent-length: 13\r\n\r\n"
    )
    with socket.create_connection((host, int(port)), SECONDS) as connection:
        connection.sendall(f'{head}{{"quantity"'.encode())
        answer = connection.makefile("rb").read()
    status, _, body = answer.partition(b"\r\n\r\n")
    assert status.startswith(b"HTTP/1.1 408 ")
    assert json.loads(body)["code"] == 3
