"""A caller with a span hands it on with each call; others send nothing about traces."""

from contextlib import aclosing

from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    TraceFlags,
    TraceState,
    use_span,
)

from inventory_grpc.client import InventoryClient
from inventory_grpc_protos.v1.commands_pb2 import ExecuteStreamResponse
from inventory_grpc_protos.v1.events_pb2 import SubscribeResponse
from tests.unit.client.scripted import ScriptedServer

SPAN = NonRecordingSpan(
    SpanContext(
        0x0AF7651916CD43DD8448EB211C80319C,
        0xB7AD6B7169203331,
        is_remote=False,
        trace_flags=TraceFlags(TraceFlags.SAMPLED),
        trace_state=TraceState([("lisbon", "1")]),
    )
)
HEADER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


async def test_a_call_has_the_span_of_its_caller(
    server: ScriptedServer, client: InventoryClient
) -> None:
    with use_span(SPAN):
        await client.add_stock(product_id="kettle", store_id="lisbon", quantity=5)
        server.plays("Subscribe", [SubscribeResponse(position=1, caught_up=True, log_id="log")])
        async with aclosing(client.events(stop_at_head=True)) as following:
            assert [event async for event in following] == []
        server.plays("ExecuteStream", [ExecuteStreamResponse()])
        async with aclosing(client.execute_stream([[]])) as answers:
            assert [results async for results in answers] == [[]]
    assert {asked.method for asked in server.asked} == {"AddStock", "Subscribe", "ExecuteStream"}
    for asked in server.asked:
        assert asked.metadata["traceparent"] == HEADER
        assert asked.metadata["tracestate"] == "lisbon=1"


async def test_a_call_without_a_span_has_no_trace(
    server: ScriptedServer, client: InventoryClient
) -> None:
    await client.add_stock(product_id="kettle", store_id="lisbon", quantity=5)
    assert "traceparent" not in server.asked[0].metadata
