"""Calls of each kind are limited, and a call that ends makes room."""

import asyncio
from collections.abc import AsyncIterator

from grpc import StatusCode

from inventory_grpc.application.access import Caller, Role
from inventory_grpc.presentation.call import Call
from inventory_grpc.presentation.draining import RunningCalls
from inventory_grpc.presentation.grpc_types import Behaviour
from inventory_grpc.presentation.interceptors.admission import Admit, Limits
from inventory_grpc.presentation.interceptors.around import Around, Nested
from inventory_grpc.presentation.interceptors.decoding import Decode
from inventory_grpc.presentation.interceptors.errors import TranslateErrors
from inventory_grpc.presentation.stalled_readers import SendInTime
from tests.support.waiting import eventually
from tests.unit.presentation.tiny import (
    ADD_STOCK,
    SUBSCRIBE,
    WATCH,
    Nobody,
    echo,
    failing,
    served,
    streaming,
    unary,
)

GET_STOCK = "/inventory.v1.InventoryQueries/GetStock"
GET_SERVER_INFO = "/inventory.v1.InventoryAdmin/GetServerInfo"


async def follow(_request: bytes, _call: Call) -> AsyncIterator[bytes]:
    yield b"one"
    await asyncio.Event().wait()


class KnowByFirstByte(Around):
    """Takes the first bytes of a request for the name of the caller."""

    def around(self, method: str, inner: Behaviour, *, streams: bool) -> Behaviour:  # noqa: ARG002
        async def known(request: bytes, call: Call) -> object:
            call.caller = Caller(request[:1].decode(), Role.ADMIN)
            return await inner(request, call)

        return known


class Busy:
    """Methods that answer only when a test says so."""

    def __init__(self) -> None:
        self.done = asyncio.Event()
        self.begun = 0

    async def work(self, request: bytes, _call: Call) -> bytes:
        self.begun += 1
        await self.done.wait()
        return request

    async def until_begun(self, calls: int) -> None:
        await eventually(lambda: self.begun >= calls)


def around(limits: Limits) -> Nested:
    return Nested(
        RunningCalls(),
        TranslateErrors(Nobody()),
        KnowByFirstByte(),
        Admit(limits),
        Decode(),
        SendInTime(),
    )


STREAMS = {SUBSCRIBE: streaming(follow), WATCH: streaming(follow)}


async def test_a_stream_too_many_is_told_to_come_back_later() -> None:
    async with served(STREAMS, around(Limits(streams=2))) as caller:
        open_ = [caller.open(SUBSCRIBE) for _ in range(2)]
        for reading in open_:
            assert await reading.read() == b"one"
        async with failing(StatusCode.RESOURCE_EXHAUSTED) as failure:
            await caller.open(SUBSCRIBE).read()
        assert failure.reason == "OVERLOADED"
        assert failure.pushback_ms == "1000"


async def test_health_watches_are_limited_to_the_number_of_subscriptions() -> None:
    async with served(STREAMS, around(Limits(streams=2))) as caller:
        watching = [caller.open(WATCH) for _ in range(2)]
        for watch in watching:
            assert await watch.read() == b"one"
        async with failing(StatusCode.RESOURCE_EXHAUSTED):
            await caller.open(WATCH).read()
        assert await caller.open(SUBSCRIBE).read() == b"one", "they take no other room"


async def test_a_stream_that_ends_makes_room_for_another() -> None:
    async with served(STREAMS, around(Limits(streams=1))) as caller:
        for _ in range(3):
            reading = caller.open(SUBSCRIBE)
            assert await reading.read() == b"one"
            reading.cancel()
            await asyncio.sleep(0.05)


async def test_a_command_too_many_is_refused_unread_and_leaves_no_trace() -> None:
    def decode(message: bytes) -> bytes:
        assert message != b"never decoded"
        return message

    busy = Busy()
    async with served(
        {ADD_STOCK: unary(busy.work, decode)}, around(Limits(commands=2, share=1))
    ) as caller:
        taken = [caller.begin(ADD_STOCK, b"hello") for _ in range(2)]
        await busy.until_begun(2)
        async with failing(StatusCode.RESOURCE_EXHAUSTED) as failure:
            await caller.ask(ADD_STOCK, b"never decoded")
        assert (failure.reason, failure.pushback_ms) == ("OVERLOADED", "100")
        busy.done.set()
        assert [await call for call in taken] == [b"hello"] * 2
        assert await caller.ask(ADD_STOCK, b"again") == b"again"


async def test_one_kind_of_calls_takes_no_room_of_another() -> None:
    busy = Busy()
    methods = {
        ADD_STOCK: unary(busy.work),
        GET_STOCK: unary(echo),
        GET_SERVER_INFO: unary(echo),
        **STREAMS,
    }
    async with served(methods, around(Limits(commands=1, queries=1, streams=1))) as caller:
        waiting = caller.begin(ADD_STOCK, b"hello")
        await busy.until_begun(1)
        assert await caller.open(SUBSCRIBE).read() == b"one"
        for method in (GET_STOCK, GET_SERVER_INFO):
            assert await caller.ask(method, b"hello") == b"hello"
        assert await caller.open(WATCH).read() == b"one"
        busy.done.set()
        await waiting


async def test_one_caller_cannot_use_the_whole_capacity() -> None:
    busy = Busy()
    async with served({ADD_STOCK: unary(busy.work)}, around(Limits(commands=4))) as caller:
        anas = [caller.begin(ADD_STOCK, b"ana") for _ in range(2)]
        await busy.until_begun(2)
        async with failing(StatusCode.RESOURCE_EXHAUSTED):
            await caller.ask(ADD_STOCK, b"ana")
        bens = caller.begin(ADD_STOCK, b"ben")
        await busy.until_begun(3)
        busy.done.set()
        assert [await call for call in (*anas, bens)] == [b"ana", b"ana", b"ben"]
        assert await caller.ask(ADD_STOCK, b"ana") == b"ana"


async def test_a_caller_who_is_not_known_has_all_the_room() -> None:
    busy = Busy()
    async with served({ADD_STOCK: unary(busy.work)}, around(Limits(commands=4))) as caller:
        calls = [caller.begin(ADD_STOCK) for _ in range(4)]
        await busy.until_begun(4)
        busy.done.set()
        for call in calls:
            await call
