"""The spans of a call are those of its caller's trace, and its log line names them."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from inventory_grpc.telemetry.spans import Spans
from inventory_grpc_protos.v1.queries_pb2 import GetStockRequest
from tests.support.caller import Caller, adding, batch, refused
from tests.support.collector import Collector, attributes
from tests.support.gateway import gateway
from tests.support.keyring import bearing
from tests.support.server_process import ServerProcess
from tests.support.traced import Traced, lines_of_calls
from tests.support.waiting import eventually

COMMANDS = "inventory.v1.InventoryCommands"
STEPS = ["wait", "decide", "commit"]


@pytest.fixture
def trace() -> Traced:
    return Traced.begin()


async def test_a_command_is_a_span_of_its_caller_with_three_steps_and_a_log_line(
    server: ServerProcess, caller: Caller, collector: Collector, trace: Traced, token: str
) -> None:
    metadata = (*bearing(token), *trace.metadata)
    answer = await caller.commands.AddStock(adding(5), metadata=metadata)
    call, *steps = await collector.of(trace.trace_id, 4)
    assert (call.name, call.kind) == (f"{COMMANDS}/AddStock", Span.SPAN_KIND_SERVER)
    assert call.parent_span_id.hex() == trace.span_id
    assert attributes(call) == {
        "rpc.system.name": "grpc",
        "rpc.method": f"{COMMANDS}/AddStock",
        "rpc.response.status_code": "OK",
        "inventory.actor": "ana",
        "inventory.position": answer.position,
    }
    assert [step.name for step in steps] == STEPS
    assert {step.parent_span_id for step in steps} == {call.span_id}
    for earlier, later in pairwise(steps):
        assert earlier.end_time_unix_nano == later.start_time_unix_nano
    assert call.start_time_unix_nano <= steps[0].start_time_unix_nano
    assert steps[-1].end_time_unix_nano <= call.end_time_unix_nano
    [line] = await lines_of_calls(server, 1, trace.trace_id)
    assert line["span_id"] == call.span_id.hex()
    assert collector.resources[0]["service.name"] == "inventory-grpc"


async def test_a_json_call_has_one_trace_from_the_gateway_to_the_commit(
    folder: Path, server: ServerProcess, collector: Collector, trace: Traced, token: str
) -> None:
    headers = {"authorization": f"Bearer {token}", "traceparent": trace.header}
    with gateway(folder, [await server.address()]) as envoy:
        with envoy.http() as http:
            url = "/v1/products/kettle/stocks/lisbon:add"
            assert http.post(url, json={"quantity": 5}, headers=headers).is_success
        [access] = envoy.logged()
    call, *steps = await collector.of(trace.trace_id, 4)
    [line] = await lines_of_calls(server, 1, trace.trace_id)
    assert [step.name for step in steps] == STEPS
    assert access["trace_id"] == line["trace_id"] == call.trace_id.hex() == trace.trace_id


async def test_no_span_has_what_a_request_says(
    caller: Caller, collector: Collector, trace: Traced, token: str
) -> None:
    private = "4111-1111"
    await caller.commands.AddStock(
        adding(5, private, reason=private, request_id=private),
        metadata=(*bearing(token), *trace.metadata),
    )
    spans = await collector.of(trace.trace_id, 4)
    assert private.encode() not in b"".join(span.SerializeToString() for span in spans)


async def test_a_refusal_has_its_code_and_is_no_error(
    caller: Caller, collector: Collector, trace: Traced, token: str
) -> None:
    metadata = (*bearing(token), *trace.metadata)
    await refused(caller.commands.AddStock(adding(-5), metadata=metadata))
    [call] = await collector.of(trace.trace_id, 1)
    assert attributes(call)["rpc.response.status_code"] == "INVALID_ARGUMENT"
    assert call.status.code == Status.STATUS_CODE_UNSET


@pytest.mark.parametrize("wrong", [(), bearing("a-token-of-nobody")], ids=["none", "wrong"])
async def test_a_stranger_can_not_make_the_server_trace_its_calls(
    server: ServerProcess,
    caller: Caller,
    collector: Collector,
    token: str,
    wrong: tuple[tuple[str, str], ...],
) -> None:
    """The ratio of this server is 0. A span of a later call is sent after those of earlier ones."""
    stranger, known = Traced.begin(), Traced.begin()
    before = len(_strangers(server))
    await refused(caller.commands.AddStock(adding(5), metadata=(*wrong, *stranger.metadata)))
    await caller.commands.AddStock(adding(5), metadata=(*bearing(token), *known.metadata))
    await collector.of(known.trace_id, 4)
    assert not await collector.of(stranger.trace_id, 0)
    assert await lines_of_calls(server, 1, known.trace_id)
    await eventually(lambda: len(_strangers(server)) > before)
    assert not any("trace_id" in line for line in _strangers(server))


def _strangers(server: ServerProcess) -> list[dict[str, Any]]:
    return [line for line in server.log() if line.get("code") == "UNAUTHENTICATED"]


async def test_a_query_has_the_position_of_its_answer(
    caller: Caller, collector: Collector, trace: Traced, token: str
) -> None:
    added = await caller.commands.AddStock(adding(5), metadata=bearing(token))
    metadata = (*bearing(token), *trace.metadata)
    request = GetStockRequest(product_id="kettle", store_id="lisbon")
    await caller.queries.GetStock(request, metadata=metadata)
    [call] = await collector.of(trace.trace_id, 1)
    assert call.name == "inventory.v1.InventoryQueries/GetStock"
    assert attributes(call)["inventory.position"] == added.position


async def test_many_commands_of_a_call_share_their_steps(
    caller: Caller, collector: Collector, trace: Traced, token: str
) -> None:
    metadata = (*bearing(token), *trace.metadata)
    await caller.commands.ExecuteBatch(batch(*[adding(1)] * 100), metadata=metadata)
    call, *steps = await collector.of(trace.trace_id, 4)
    assert call.name == f"{COMMANDS}/ExecuteBatch"
    assert [step.name for step in steps] == STEPS


async def test_a_commit_has_links_to_the_calls_of_its_batch(collector: Collector) -> None:
    spans = Spans(collector.endpoint)
    calls = [spans.begin(f"/{COMMANDS}/AddStock", None) for _ in range(2)]
    calls[0].add_step("commit", 1, 2, callers=calls)
    await spans.close()
    [commit] = await collector.of(calls[0].trace_id, 1)
    assert [(link.trace_id.hex(), link.span_id.hex()) for link in commit.links] == [
        (call.trace_id, call.span_id) for call in calls
    ]
