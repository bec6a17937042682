"""Bad bytes, bad deadlines, bugs of ours: named, harmless, and never with an inside in it."""

import asyncio
import random
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, Never

import grpc.aio
import pytest
from grpc import StatusCode

from inventory.v1 import commands_pb2, events_pb2, queries_pb2
from inventory_grpc import bootstrap
from inventory_grpc.application.ports import T, Transaction
from inventory_grpc.application.queries import Queries
from inventory_grpc.infrastructure.sqlite.storage import SqliteStorage
from inventory_grpc.presentation.events import Events
from inventory_grpc.settings import Settings
from tests.support.caller import Caller, adding, calling, refusal, refused, reserving
from tests.support.caller import line as of
from tests.support.waiting import eventually

INSIDES: Final = re.compile(r"Traceback|File \"|Error\b|Exception|SELECT|INSERT|/|\.py|secret")
"""What nobody outside should read."""

UNARY: Final = [
    "InventoryCommands/AddStock",
    "InventoryCommands/RemoveStock",
    "InventoryCommands/AdjustStock",
    "InventoryCommands/ReserveStock",
    "InventoryCommands/CommitReservation",
    "InventoryCommands/ReleaseReservation",
    "InventoryCommands/ExtendReservation",
    "InventoryQueries/GetStock",
    "InventoryQueries/BatchGetStock",
    "InventoryQueries/CheckAvailability",
    "InventoryQueries/GetProductInventory",
    "InventoryQueries/ListStock",
    "InventoryQueries/GetReservation",
    "InventoryQueries/ListReservations",
    "InventoryEvents/ListEvents",
]
KETTLES: Final = queries_pb2.GetStockRequest(product_id="kettle", store_id="lisbon")
TRUNCATED: Final = b"\x0a\x06kett"
NOT_TEXT: Final = b"\x0a\x02\xc3\x28"


def _raw(caller: Caller, method: str, message: bytes) -> "grpc.aio.UnaryUnaryCall[bytes, bytes]":
    call = caller.channel.unary_unary(
        f"/inventory.v1.{method}",
        request_serializer=lambda data: data,
        response_deserializer=lambda data: data,
    )
    return call(message, timeout=10)


async def test_bytes_that_cannot_be_decoded_are_an_invalid_argument_everywhere(
    caller: Caller,
) -> None:
    for method in UNARY:
        for message in (TRUNCATED, NOT_TEXT, b"\xff" * 20):
            answer = await refused(_raw(caller, method, message))
            assert (answer.code, answer.reason) == (
                StatusCode.INVALID_ARGUMENT,
                "INVALID_VALUE",
            ), method
            assert not INSIDES.search(answer.message), answer.message
    stream: grpc.aio.UnaryStreamMultiCallable[bytes, bytes] = caller.channel.unary_stream(
        "/inventory.v1.InventoryEvents/Subscribe", request_serializer=lambda data: data
    )
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await stream(b"\xff" * 20, timeout=10).read()
    assert refusal(failed.value).reason == "INVALID_VALUE"
    assert await caller.log() == []


async def test_a_changed_byte_never_has_an_unknown_or_internal_answer(caller: Caller) -> None:
    chance = random.Random(2)
    await caller.commands.AddStock(adding(1_000))
    whole = reserving(of(1), of(2), request_id="r", reference="note", order_id="o1")
    for number in range(300):
        message = bytearray(whole.SerializeToString())
        for _ in range(chance.randint(1, 3)):
            message[chance.randrange(len(message))] = chance.randrange(256)
        call = _raw(caller, "InventoryCommands/ReserveStock", bytes(message))
        assert await call.code() not in {StatusCode.UNKNOWN, StatusCode.INTERNAL}, (number, message)
    assert (await caller.commands.AddStock(adding(1))).stock.on_hand == 1_001


async def test_what_is_too_big_is_not_even_read(caller: Caller) -> None:
    answer = await refused(_raw(caller, "InventoryCommands/AddStock", b"\0" * (1024 * 1024 + 1)))
    assert answer.code is StatusCode.RESOURCE_EXHAUSTED
    assert not answer.trailers.get("grpc-retry-pushback-ms"), "to try again is of no use"


async def test_an_unknown_method_is_unimplemented(caller: Caller) -> None:
    for method in ("InventoryCommands/SellStock", "InventoryQueries/AddStock", "Nobody/AddStock"):
        assert await _raw(caller, method, b"").code() is StatusCode.UNIMPLEMENTED


def test_no_unary_rpc_is_left_out_above() -> None:
    methods = [
        f"{service.name}/{method.name}"
        for file in (commands_pb2, events_pb2, queries_pb2)
        for service in file.DESCRIPTOR.services_by_name.values()
        for method in service.methods
    ]
    assert set(methods) - {"InventoryEvents/Subscribe"} == set(UNARY)


class _Bug(Exception):
    """Whose text is a secret."""


def _break(*_: object, **__: object) -> Never:
    raise _Bug("a secret in /srv/inventory: SELECT password")


async def test_a_bug_is_internal_with_an_id_that_only_the_log_explains(
    caller: Caller, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    await caller.commands.AddStock(adding(1))
    monkeypatch.setattr(Queries, "stock", _break)
    monkeypatch.setattr(Events, "_told", _break)
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

    monkeypatch.setattr(Queries, "stock", cancel)
    answer = await refused(caller.queries.GetStock(KETTLES, timeout=5))
    assert (answer.code, answer.reason) == (StatusCode.INTERNAL, "INTERNAL")


@pytest.fixture
def gate(address: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[asyncio.Event]:
    """Have the writer wait until this is set."""
    assert address, "the server is there before, and after"
    gate = asyncio.Event()
    transact = SqliteStorage.transact

    async def waiting(storage: SqliteStorage, work: Callable[[Transaction], T]) -> T:
        await gate.wait()
        return await transact(storage, work)

    monkeypatch.setattr(SqliteStorage, "transact", waiting)
    yield gate
    gate.set()


async def test_a_call_whose_deadline_passes_is_told_so_and_its_command_is_not_begun(
    caller: Caller, gate: asyncio.Event
) -> None:
    first = asyncio.create_task(_settled(caller, "first", 10.0))
    await asyncio.sleep(0.05)  # the writer holds it now
    for seconds in (0.001, 0.05):
        assert await _settled(caller, f"late-{seconds}", seconds) is StatusCode.DEADLINE_EXCEEDED
    gate.set()
    assert await first is StatusCode.OK
    assert await _settled(caller, "after", 10.0) is StatusCode.OK
    assert [event.request_id for event in await caller.log()] == ["first", "after"]


async def _settled(caller: Caller, name: str, seconds: float) -> StatusCode:
    call = caller.commands.AddStock(adding(1, request_id=name), timeout=seconds)
    return await call.code()


async def test_a_caller_who_cancels_leaves_no_call_behind(path: Path) -> None:
    async with (
        bootstrap.serving(Settings(listen="127.0.0.1:0", database=path)) as served,
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


async def test_reads_do_not_wait_for_the_writer(caller: Caller, gate: asyncio.Event) -> None:
    waiting = asyncio.create_task(_settled(caller, "waiting", 10.0))
    await asyncio.sleep(0.02)
    assert await caller.log() == []
    answer = await refused(caller.queries.GetStock(KETTLES, timeout=1))
    assert answer.reason == "STOCK_NOT_FOUND"
    gate.set()
    assert await waiting is StatusCode.OK
