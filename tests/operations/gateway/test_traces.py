"""A JSON call has one trace, from the caller through the gateway to the commit."""

import asyncio
from pathlib import Path

from tests.support.collector import collecting
from tests.support.gateway import gateway
from tests.support.server_process import ServerProcess
from tests.support.traced import Traced, lines_of_calls

URL = "/v1/products/kettle/stocks/lisbon:add"
BEGUN = Traced.begin()


async def test_one_trace_id_is_in_spans_and_in_both_logs(tmp_path: Path) -> None:
    with collecting() as collector:
        server = ServerProcess.begin(
            tmp_path / "inventory.db",
            tmp_path / "server.log",
            f"--trace-endpoint={collector.endpoint}",
            environment={"OTEL_BSP_SCHEDULE_DELAY": "50"},
        )
        try:
            backend = await server.address()
            with gateway(tmp_path, [backend]) as started, started.http() as http:
                headers = {"traceparent": BEGUN.header}
                answer = await asyncio.to_thread(
                    http.post, URL, json={"quantity": 5}, headers=headers
                )
                assert answer.status_code == 200
                [line] = await lines_of_calls(server, 1, BEGUN.trace_id)
                spans = await collector.of(BEGUN.trace_id, 4)
                [logged] = started.logged()
        finally:
            server.kill()
    assert line["method"].endswith("AddStock")
    assert {"wait", "decide", "commit"} <= {span.name for span in spans}
    [call] = [span for span in spans if span.name.endswith("AddStock")]
    assert call.parent_span_id.hex() == BEGUN.span_id
    assert (logged["trace_id"], logged["path"]) == (BEGUN.trace_id, URL)
