"""Callers of a log that has moved: its old place says where, and the new one goes on with it."""

import asyncio
from pathlib import Path

import pytest
from grpc import StatusCode
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from typer.testing import CliRunner

from inventory_grpc.cli import app
from inventory_grpc.presentation.health import COMMANDS
from inventory_grpc.server import serve
from inventory_grpc.settings import Settings
from inventory_grpc_protos.v1.admin_pb2 import GetServerInfoRequest, Writes
from inventory_grpc_protos.v1.events_pb2 import SubscribeRequest
from tests.support.caller import SECONDS, Caller, adding, calling, refused
from tests.support.engines import on_each_engine
from tests.support.scraping import page_of, value_of


def move(source: Path | str, target: Path) -> None:
    done = CliRunner().invoke(app, ["copy", str(source), str(target), "--seal"])
    assert done.exit_code == 0, done.stderr


@on_each_engine
async def test_callers_are_told_where_the_log_goes_on_and_continue_there(
    caller: Caller, database: Path | str, tmp_path: Path
) -> None:
    given = await caller.commands.AddStock(adding(5, request_id="delivery"))
    info = await caller.admin.GetServerInfo(GetServerInfoRequest())
    await asyncio.to_thread(move, database, target := tmp_path / "moved.db")

    for _ in range(2):
        failed = await refused(caller.commands.AddStock(adding(1)))
        assert (failed.code, failed.reason) == (StatusCode.UNAVAILABLE, "WRITES_REFUSED")
        assert failed.message == f"writes are refused: the log has moved: it goes on at {target}"
    assert len(await caller.log()) == 1
    after = await caller.admin.GetServerInfo(GetServerInfoRequest())
    assert after.writes == Writes.WRITES_REFUSED
    assert str(target) in after.writes_refused_reason

    settings = Settings(listen="127.0.0.1:0", database=target, create=False)
    async with serve.serving(settings) as served, calling(served.address) as there:
        again = await there.commands.AddStock(adding(5, request_id="delivery"))
        assert (again.replayed, again.position) == (True, given.position)
        assert again.stock == given.stock
        await there.commands.AddStock(adding(1))
        follow = SubscribeRequest(after_position=1, log_id=info.log_id, stop_at_head=True)
        found = [
            event.position
            async for message in there.events.Subscribe(follow, timeout=SECONDS)
            for event in message.events
        ]
        assert found == [2]


@on_each_engine
async def test_a_server_that_starts_on_a_log_that_has_moved_tells_it_before_the_first_write(
    database: Path | str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = Settings(listen="127.0.0.1:0", database=database, metrics_listen="127.0.0.1:0")
    async with serve.serving(settings):
        pass
    await asyncio.to_thread(move, database, target := tmp_path / "moved.db")
    caplog.clear()
    async with serve.serving(settings) as served, calling(served.address) as caller:
        health = await caller.health.Check(HealthCheckRequest(service=COMMANDS))
        assert health.status == HealthCheckResponse.NOT_SERVING
        info = await caller.admin.GetServerInfo(GetServerInfoRequest())
        assert info.writes == Writes.WRITES_REFUSED
        assert info.writes_refused_reason.endswith(f"it goes on at {target}")
        assert served.metrics is not None
        assert value_of(await page_of(served.metrics), "inventory_writes_accepted") == 0
    assert f"the log has moved: it goes on at {target}" in caplog.text
