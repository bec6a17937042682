"""`Subscribe` comes live: as a line of JSON for each message, or as server-sent events."""

import json
from collections.abc import Iterator
from typing import Any, Final

import httpx
import pytest

from tests.support.gateway import Gateway

STYLES: Final = {
    "lines": ("/v1/events:subscribe", "application/json", ""),
    "events": ("/v1/events:sse", "text/event-stream", "data: "),
}


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


@pytest.mark.parametrize("style", STYLES)
def test_a_stream_without_events_stays_open(envoy: Gateway, style: str) -> None:
    url, _, mark = STYLES[style]
    query = {"from_now": "true", "filter.product_ids": "never", "heartbeat": "1s"}
    with envoy.http() as http, http.stream("GET", url, params=query) as response:
        received = messages(response, mark)
        assert all(next(received)["events"] == [] for _ in range(4))
