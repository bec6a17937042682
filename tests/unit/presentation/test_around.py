"""A method is wrapped once, whatever its kind, and keeps its kind."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc
import grpc.aio
from grpc import StatusCode

from inventory_grpc.presentation.call import Call
from inventory_grpc.presentation.draining import RunningCalls
from inventory_grpc.presentation.grpc_types import Behaviour, MaybeHandler
from inventory_grpc.presentation.interceptors.around import Around, Nested
from tests.unit.presentation.tiny import ADD_STOCK, SUBSCRIBE, echo, failing, served, unary


class Counting(Around):
    """Knows what it was put around, and how often that was called."""

    def __init__(self) -> None:
        super().__init__()
        self.wrapped: list[tuple[str, bool]] = []
        self.calls = 0

    def around(self, method: str, inner: Behaviour, *, streams: bool) -> Behaviour:
        self.wrapped.append((method, streams))

        async def counted(request: object, call: Call) -> object:
            self.calls += 1
            return await inner(request, call)

        return counted


class Asked(grpc.aio.ServerInterceptor):
    """Knows for which methods it was asked."""

    def __init__(self) -> None:
        self.methods: list[str] = []

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[MaybeHandler]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> MaybeHandler:
        self.methods.append(handler_call_details.method)
        return await continuation(handler_call_details)


async def test_a_method_is_wrapped_once_for_all_its_calls() -> None:
    counting = Counting()
    async with served({ADD_STOCK: unary(echo)}, counting) as caller:
        for _ in range(3):
            assert await caller.ask(ADD_STOCK, b"hello") == b"hello"
    assert counting.wrapped == [(ADD_STOCK, False)]
    assert counting.calls == 3


async def test_handlers_below_are_asked_once_a_method() -> None:
    below = Asked()
    async with served({ADD_STOCK: unary(echo)}, Counting(), below=[below]) as caller:
        for _ in range(3):
            await caller.ask(ADD_STOCK)
    assert below.methods == [ADD_STOCK]


async def test_several_are_entered_one_in_the_other() -> None:
    outer, inner = Counting(), Counting()
    async with served({ADD_STOCK: unary(echo)}, outer, inner) as caller:
        await caller.ask(ADD_STOCK)
    assert (outer.calls, inner.calls) == (1, 1)


async def test_a_method_with_streams_on_both_sides_is_wrapped_as_well() -> None:
    async def talk(requests: AsyncIterator[bytes], call: Call) -> None:
        async for request in requests:
            await call.context.write(request)

    counting = Counting()
    make: Any = grpc.stream_stream_rpc_method_handler
    server = grpc.aio.server(interceptors=[Nested(RunningCalls(), counting)])
    server.add_generic_rpc_handlers(
        [grpc.method_handlers_generic_handler("a.B", {"C": make(talk)})]
    )
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        method: Any = channel.stream_stream("/a.B/C")
        assert [response async for response in method([b"one", b"two"])] == [b"one", b"two"]
    await server.stop(None)
    assert counting.wrapped == [("/a.B/C", True)]


async def test_what_is_not_there_stays_so() -> None:
    counting = Counting()
    async with (
        served({ADD_STOCK: unary(echo)}, counting) as caller,
        failing(StatusCode.UNIMPLEMENTED),
    ):
        await caller.ask(SUBSCRIBE)
    assert counting.wrapped == []
    assert not counting._wrapped, "anybody may ask for anything: it must not be remembered"
