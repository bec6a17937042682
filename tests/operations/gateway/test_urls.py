"""Every rpc with a URL is called by it, as JSON over HTTP, and answers as it does over gRPC."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple
from urllib.parse import quote

import httpx
import pytest
from google.api.http_pb2 import HttpRule
from google.protobuf.json_format import MessageToDict, Parse, ParseDict
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from inventory_grpc_protos.v1.commands_pb2 import ExecuteBatchRequest
from scripts.descriptors import http_rules
from tests.support.caller import calling, commands
from tests.support.samples import COMMANDS, METHODS, QUERIES, SAMPLES
from tests.support.server_process import ROOT

RULES: Final[Mapping[str, HttpRule]] = {
    selector.rpartition(".")[2]: rule
    for selector, rule in http_rules((ROOT / "protos/http.yaml").read_text("utf-8"))
    if selector.startswith("inventory.")
}
REQUESTS: Final[Mapping[str, Message]] = {
    **SAMPLES,
    "ExecuteBatch": ExecuteBatchRequest(commands=commands(COMMANDS["AddStock"])),
}


class Call(NamedTuple):
    """A request as a caller of HTTP would write it."""

    method: str
    path: str
    query: list[tuple[str, str]]
    body: object


def as_http(rule: HttpRule, request: Message) -> Call:
    """Return *request* by *rule*: some fields in the path, the others in the query or the body."""
    fields = MessageToDict(request, preserving_proto_field_name=True)
    method = "GET" if rule.get else "POST"
    path = re.sub(
        r"\{(\w+)\}", lambda found: quote(fields.pop(found[1]), safe=""), rule.get or rule.post
    )
    return Call(method, path, *(([], fields) if rule.body else (list(_flat(fields)), None)))


def _flat(fields: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, value in fields.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            for one in value if isinstance(value, list) else [value]:
                yield f"{prefix}{name}", str(one).lower() if isinstance(one, bool) else str(one)


def send(http: httpx.Client, call: Call) -> httpx.Response:
    return http.request(call.method, call.path, params=tuple(call.query), json=call.body)


@pytest.fixture(scope="module")
def answers(http: httpx.Client) -> dict[str, httpx.Response]:
    """Send each sample to its URL, in the order in which they succeed."""
    return {
        name: send(http, as_http(RULES[name], request))
        for name, request in REQUESTS.items()
        if name in RULES
    }


@pytest.mark.parametrize("name", RULES)
def test_every_rpc_with_a_url_answers_there(
    answers: Mapping[str, httpx.Response], name: str
) -> None:
    answer = answers[name]
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/json"
    for line in answer.text.splitlines():
        # It fails on a field that the response does not have.
        told = Parse(line, GetMessageClass(METHODS[name].output_type)())
        assert told.ListFields()


@pytest.mark.usefixtures("answers")
@pytest.mark.parametrize("name", QUERIES)
async def test_a_query_answers_as_over_grpc(http: httpx.Client, backend: str, name: str) -> None:
    request = QUERIES[name]
    told = send(http, as_http(RULES[name], request)).json()
    async with calling(backend) as caller:
        expected = await getattr(caller.queries, name)(request)
    assert ParseDict(told, type(expected)()) == expected
    # Zeros are in the answer, and names are those of the protos.
    assert told == MessageToDict(
        expected, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )


def test_the_health_of_each_service_has_a_url(http: httpx.Client) -> None:
    for service in ("", "inventory.v1.InventoryQueries", "inventory.v1.InventoryCommands"):
        answer = http.get("/v1/health", params={"service": service})
        assert (answer.status_code, answer.json()) == (200, {"status": "SERVING"})
    assert http.get("/v1/health?service=kettles").status_code == 404


def test_the_health_of_the_gateway_needs_no_backend_call(http: httpx.Client) -> None:
    answer = http.get("/healthz")
    assert (answer.status_code, answer.json()) == (200, {"status": "SERVING"})


def test_the_stream_in_both_directions_has_no_url(http: httpx.Client) -> None:
    answer = http.post("/inventory.v1.InventoryCommands/ExecuteStream", json={})
    assert answer.status_code == 404
    assert "ExecuteStream" not in RULES
