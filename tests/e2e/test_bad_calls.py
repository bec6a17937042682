"""Bad deadlines and internal errors are named, harmless, and disclose nothing."""

import asyncio
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, Never

import grpc.aio
import pytest
from grpc import StatusCode

from inventory_grpc.application.ports import Expected, T, Transaction, nothing
from inventory_grpc.application.queries.snapshot import Latest
from inventory_grpc.infrastructure.sqlite.storage import SqliteStorage
from inventory_grpc.presentation.events import Events
from inventory_grpc.server import serve
from inventory_grpc.settings import Settings
from inventory_grpc_protos.v1 import events_pb2, queries_pb2
from tests.support.caller import SECONDS, Caller, adding, calling, refusal, refused
from tests.support.waiting import eventually

INSIDES: Final = re.compile(r"Traceback|File \"|Error\b|Exception|SELECT|INSERT|/|\.py|secret")
"""Texts that no caller may see."""

KETTLES: Final = queries_pb2.GetStockRequest(product_id="kettle", store_id="lisbon")


async def test_what_is_too_big_is_not_even_read(caller: Caller) -> None:
    add: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = caller.channel.unary_unary(
        "/inventory.v1.InventoryCommands/AddStock"
    )
    answer = await refused(add(b"\0" * (1024 * 1024 + 1), timeout=10))
    assert answer.code is StatusCode.RESOURCE_EXHAUSTED
    assert not answer.trailers.get("grpc-retry-pushback-ms"), "to try again is of no use"


class _Bug(Exception):
    """An exception whose text is secret."""


def _break(*_: object, **__: object) -> Never:
    raise _Bug("a secret in /srv/inventory: SELECT password")


async def test_a_bug_is_internal_with_an_id_that_only_the_log_explains(
    caller: Caller, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    await caller.commands.AddStock(adding(1))
    monkeypatch.setattr(Latest, "get", _break)
    monkeypatch.setattr(Events, "_response", _break)
    get = caller.queries.GetStock(KETTLES)
    subscribe = caller.events.Subscribe(events_pb2.SubscribeRequest(), timeout=10)
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await subscribe.read()
    for answer in (await refused(get), refusal(failed.value)):
        assert (answer.code, answer.reason) == (StatusCode.INTERNAL, "INTERNAL")
        assert not INSIDES.search(answer.message), answer.message
        assert "secret" not in str(answer.trailers)
        assert re.fullmatch(r"[0-9a-f]{8}", answer.facts["error_id"])
        assert answer.facts["error_id"] in caplog.text
    assert "secret" in caplog.text


async def test_a_handler_that_cancels_itself_is_a_bug_and_keeps_nobody_waiting(
    caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cancel(*_: object) -> Never:
        raise asyncio.CancelledError

    monkeypatch.setattr(Latest, "get", cancel)
    answer = await refused(caller.queries.GetStock(KETTLES, timeout=5))
    assert (answer.code, answer.reason) == (StatusCode.INTERNAL, "INTERNAL")


class Gate:
    """A gate at which the writer waits."""

    def __init__(self) -> None:
        self.reached = asyncio.Event()
        self.opened = asyncio.Event()


@pytest.fixture
def gate(address: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    """Have the writer wait, with what it has taken, until this is opened."""
    assert address, "the server is there before, and after"
    gate = Gate()
    transact = SqliteStorage.transact

    async def waiting(
        storage: SqliteStorage,
        work: Callable[[Transaction], T],
        prepare: Callable[[], Expected] = nothing,
    ) -> T:
        gate.reached.set()
        await gate.opened.wait()
        return await transact(storage, work, prepare)

    monkeypatch.setattr(SqliteStorage, "transact", waiting)
    yield gate
    gate.opened.set()


async def test_a_call_whose_deadline_passes_is_told_so_and_its_command_is_not_begun(
    caller: Caller, gate: Gate
) -> None:
    first = asyncio.create_task(_settled(caller, "first", SECONDS))
    await asyncio.wait_for(gate.reached.wait(), SECONDS)
    for seconds in (0.001, 0.05):
        assert await _settled(caller, f"late-{seconds}", seconds) is StatusCode.DEADLINE_EXCEEDED
    gate.opened.set()
    assert await first is StatusCode.OK
    assert await _settled(caller, "after", SECONDS) is StatusCode.OK
    assert [event.request_id for event in await caller.log()] == ["first", "after"]


async def _settled(caller: Caller, name: str, seconds: float) -> StatusCode:
    call = caller.commands.AddStock(adding(1, request_id=name), timeout=seconds)
    return await call.code()


async def test_a_caller_who_cancels_leaves_no_call_behind(path: Path) -> None:
    async with (
        serve.serving(Settings(listen="127.0.0.1:0", database=path)) as served,
        calling(served.address) as caller,
    ):
        before = len(asyncio.all_tasks())
        calls = [caller.commands.AddStock(adding(1, request_id=f"{n}")) for n in range(200)]
        following = caller.events.Subscribe(events_pb2.SubscribeRequest())
        await following.read()
        for call in (*calls[::2], following):
            call.cancel()
        for call in calls:
            await call.code()
        await eventually(lambda: len(asyncio.all_tasks()) <= before)
        answered = {event.request_id for event in await caller.log()}
        assert {f"{n}" for n in range(1, 200, 2)} <= answered


async def test_reads_do_not_wait_for_the_writer(caller: Caller, gate: Gate) -> None:
    waiting = asyncio.create_task(_settled(caller, "waiting", 2 * SECONDS))
    await asyncio.wait_for(gate.reached.wait(), SECONDS)
    assert await caller.log() == []
    answer = await refused(caller.queries.GetStock(KETTLES, timeout=SECONDS))
    assert answer.reason == "STOCK_NOT_FOUND"
    assert not waiting.done()
    gate.opened.set()
    assert await waiting is StatusCode.OK
