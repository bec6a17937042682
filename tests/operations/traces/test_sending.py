"""The ratio of traced calls, the collector that takes their spans, and one that does not."""

import asyncio
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.operations.traces.conftest import QUICK
from tests.support.caller import Caller, adding, calling
from tests.support.collector import Collector, collecting, silent_endpoint
from tests.support.server_process import ENVIRONMENT, ServerProcess, server_process
from tests.support.traced import Traced, lines_of_calls
from tests.support.waiting import eventually

TRACED = Traced.begin()


@asynccontextmanager
async def traced_server(
    folder: Path, endpoint: str, *options: str, environment: Mapping[str, str] = QUICK
) -> AsyncIterator[tuple[ServerProcess, Caller]]:
    """Run a server that sends its spans to *endpoint*; call it."""
    async with (
        server_process(
            folder / "inventory.db",
            folder / "server.log",
            f"--trace-endpoint={endpoint}",
            *options,
            environment=environment,
        ) as server,
        calling(await server.address()) as caller,
    ):
        yield server, caller


async def test_callers_who_do_not_decide_are_traced_by_the_ratio(tmp_path: Path) -> None:
    calls, expected, deviation = 400, 200, 10
    with collecting() as collector:
        options = ("--trace-ratio=0.5", "--workers=1")
        async with traced_server(tmp_path, collector.endpoint, *options) as (server, caller):
            for _ in range(calls):
                await caller.commands.AddStock(adding(1))
            lines = await lines_of_calls(server, calls)
            traced = {line["trace_id"] for line in lines if "trace_id" in line}
            await eventually(lambda: len(_calls(collector)) >= len(traced))
    assert abs(len(traced) - expected) < 6 * deviation
    assert {span.trace_id.hex() for span in _calls(collector)} == traced
    assert not any(span.parent_span_id for span in _calls(collector))


def _calls(collector: Collector) -> list[Span]:
    return [span for span in collector.spans if span.kind == Span.SPAN_KIND_SERVER]


async def test_the_last_spans_are_sent_when_the_server_ends_under_the_operators_name(
    tmp_path: Path,
) -> None:
    environment = {
        "OTEL_BSP_SCHEDULE_DELAY": "3600000",
        "OTEL_SERVICE_NAME": "kettles",
        "OTEL_RESOURCE_ATTRIBUTES": "region=lisbon",
    }
    with collecting() as collector:
        async with traced_server(tmp_path, collector.endpoint, environment=environment) as (
            server,
            caller,
        ):
            await caller.commands.AddStock(adding(5), metadata=TRACED.metadata)
            assert not collector.spans
            server.terminate()
            assert await server.ended() == 0
        assert len(await collector.of(TRACED.trace_id, 4)) == 4
    [resource] = collector.resources
    assert (resource["service.name"], resource["region"]) == ("kettles", "lisbon")


@pytest.mark.parametrize("state", ["down", "silent"])
async def test_a_collector_that_takes_nothing_costs_no_call(state: str, tmp_path: Path) -> None:
    async with silent_endpoint() as silent:
        endpoint = silent if state == "silent" else "http://127.0.0.1:9"
        async with traced_server(tmp_path, endpoint, "--trace-ratio=1") as (server, caller):
            for _ in range(13):
                asked = [caller.commands.AddStock(adding(1), timeout=20) for _ in range(90)]
                answers = await asyncio.gather(*asked)
            assert max(answer.position for answer in answers) == 1_170
            server.terminate()
            assert await server.ended() == 0
        events = [line["event"] for line in server.log()]
    assert 1 <= events.count("Queue full, dropping Span.") < 5


@pytest.fixture
def without_the_extra(tmp_path: Path) -> dict[str, str]:
    """Return an environment in which OpenTelemetry is not installed."""
    missing = tmp_path / "missing/opentelemetry"
    missing.mkdir(parents=True)
    (missing / "__init__.py").write_text("raise ImportError('not installed here')\n", "utf-8")
    return {"PYTHONPATH": f"{missing.parent}{os.pathsep}{ENVIRONMENT['PYTHONPATH']}"}


async def test_a_missing_extra_is_named_before_the_database_is_touched(
    tmp_path: Path, without_the_extra: dict[str, str]
) -> None:
    log = tmp_path / "server.log"
    server = ServerProcess.begin(
        tmp_path / "inventory.db",
        log,
        "--trace-endpoint=http://127.0.0.1:4317",
        environment=without_the_extra,
    )
    assert await server.ended() != 0
    assert "trace_endpoint: opentelemetry is not installed" in log.read_text("utf-8")
    assert "pip install 'inventory-grpc[otel]'" in log.read_text("utf-8")
    assert not (tmp_path / "inventory.db").exists()


async def test_without_traces_the_extra_is_not_needed(
    tmp_path: Path, without_the_extra: dict[str, str]
) -> None:
    async with (
        server_process(
            tmp_path / "inventory.db", tmp_path / "server.log", environment=without_the_extra
        ) as server,
        calling(await server.address()) as caller,
    ):
        await caller.commands.AddStock(adding(5), metadata=TRACED.metadata)
        [line] = await lines_of_calls(server, 1)
    assert "trace_id" not in line


@pytest.mark.parametrize(
    ("variable", "value", "workers"),
    [
        ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "5000", 1),
        ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "5000", 2),
        ("OTEL_SPAN_LINK_COUNT_LIMIT", "many", 1),  # the library reads it while it is imported
        ("OTEL_PYTHON_EXPORTER_OTLP_GRPC_CREDENTIAL_PROVIDER", "other", 1),
    ],
)
async def test_a_bad_variable_of_the_library_ends_the_start_as_a_bad_setting(
    tmp_path: Path, variable: str, value: str, workers: int
) -> None:
    log = tmp_path / "server.log"
    server = ServerProcess.begin(
        tmp_path / "inventory.db",
        log,
        "--trace-endpoint=https://127.0.0.1:4317",
        f"--workers={workers}",
        environment={variable: value},
    )
    assert await server.ended() == 1
    errors = [line for line in log.read_text("utf-8").splitlines() if "error" in line]
    assert len(errors) == 1
    assert "OTEL_" in errors[0]
    assert value in errors[0]
    assert "Traceback" not in log.read_text("utf-8")
