"""A page in a browser calls by gRPC-Web, and only pages that are named may."""

import base64
import re
import struct
from collections.abc import Iterator
from typing import Final

import httpx
import pytest
from google.protobuf.message import Message
from google.rpc.status_pb2 import Status

from inventory_grpc_protos.v1.commands_pb2 import (
    AddStockRequest,
    AddStockResponse,
    RemoveStockRequest,
)
from inventory_grpc_protos.v1.events_pb2 import SubscribeRequest, SubscribeResponse

SHOP: Final = "https://shop.example"
ADD: Final = "/inventory.v1.InventoryCommands/AddStock"
REMOVE: Final = "/inventory.v1.InventoryCommands/RemoveStock"
SUBSCRIBE: Final = "/inventory.v1.InventoryEvents/Subscribe"
TRAILERS: Final = 0x80


def frame(message: Message) -> bytes:
    body = message.SerializeToString()
    return struct.pack(">BI", 0, len(body)) + body


def frames(body: bytes) -> Iterator[tuple[int, bytes]]:
    while body:
        flag, length = struct.unpack(">BI", body[:5])
        yield flag, body[5 : 5 + length]
        body = body[5 + length :]


def trailers(body: bytes) -> dict[str, str]:
    """Return the trailers, which gRPC-Web sends as the last frame."""
    flag, last = list(frames(body))[-1]
    assert flag == TRAILERS
    lines = [line.partition(":") for line in last.decode("ascii").split("\r\n") if line]
    return {name: value.strip() for name, _, value in lines}


def call(http: httpx.Client, url: str, request: Message, origin: str = SHOP) -> httpx.Response:
    headers = {"content-type": "application/grpc-web+proto", "x-grpc-web": "1", "origin": origin}
    return http.post(url, content=frame(request), headers=headers)


def adding(product: str) -> AddStockRequest:
    return AddStockRequest(product_id=product, store_id="lisbon", quantity=5)


def test_a_call_is_answered_with_a_message_and_trailers(http: httpx.Client) -> None:
    answer = call(http, ADD, adding("kettle"))
    assert answer.headers["content-type"] == "application/grpc-web+proto"
    (flag, body), _ = frames(answer.content)
    assert flag == 0
    assert AddStockResponse.FromString(body).stock.available == 5
    assert trailers(answer.content)["grpc-status"] == "0"


def test_a_call_in_text_is_answered_in_text(http: httpx.Client) -> None:
    headers = {"content-type": "application/grpc-web-text", "accept": "application/grpc-web-text"}
    answer = http.post(ADD, content=base64.b64encode(frame(adding("pan"))), headers=headers)
    # Each part is encoded by itself, with a padding of its own.
    parts = re.findall(rb"[^=]+=*", answer.content)
    (_, body), _ = frames(b"".join(map(base64.b64decode, parts)))
    assert AddStockResponse.FromString(body).stock.available == 5


def test_a_refusal_has_its_details(http: httpx.Client) -> None:
    request = RemoveStockRequest(product_id="toaster", store_id="lisbon", quantity=1)
    answer = call(http, REMOVE, request)
    # Without a message, the trailers come as headers.
    assert answer.headers["grpc-status"] == "9"
    packed = answer.headers["grpc-status-details-bin"]
    status = Status.FromString(base64.b64decode(packed + "=" * (-len(packed) % 4)))
    assert [one.type_url.rpartition("/")[2] for one in status.details] == [
        "google.rpc.ErrorInfo",
        "inventory.v1.ShortLines",
    ]
    exposed = answer.headers["access-control-expose-headers"]
    assert {"grpc-status", "grpc-message", "grpc-status-details-bin"} <= set(exposed.split(", "))


def test_a_subscription_is_a_frame_for_each_message(http: httpx.Client) -> None:
    call(http, ADD, adding("teapot"))
    answer = call(http, SUBSCRIBE, SubscribeRequest(stop_at_head=True))
    told = [SubscribeResponse.FromString(body) for flag, body in frames(answer.content) if not flag]
    assert "teapot" in [event.product_id for message in told for event in message.events]
    assert trailers(answer.content)["grpc-status"] == "0"


@pytest.mark.parametrize("url", [ADD, "/v1/stocks", "/v1/events:sse", "/v1/events:subscribe"])
def test_a_page_that_is_named_may_call(http: httpx.Client, url: str) -> None:
    asked = {
        "origin": SHOP,
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization,content-type,x-grpc-web",
    }
    answer = http.options(url, headers=asked)
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == SHOP
    assert "POST" in answer.headers["access-control-allow-methods"]
    assert "authorization" in answer.headers["access-control-allow-headers"]


def test_an_answer_may_be_read_by_a_page_that_is_named(http: httpx.Client) -> None:
    for url in ("/v1/stocks", "/v1/kettles", "/v1/products/toaster/stocks/porto"):
        answer = http.get(url, headers={"origin": SHOP})
        assert answer.headers["access-control-allow-origin"] == SHOP, url


@pytest.mark.parametrize("origin", ["https://thief.example", "http://shop.example", "null"])
def test_no_other_page_may_call(http: httpx.Client, origin: str) -> None:
    asked = {"origin": origin, "access-control-request-method": "POST"}
    preflight = http.options("/v1/stocks", headers=asked)
    assert preflight.status_code == 404
    for answer in (preflight, http.get("/v1/stocks", headers={"origin": origin})):
        assert "access-control-allow-origin" not in answer.headers
