"""The benchmark counts each of its calls once."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from itertools import count, islice
from typing import Any

import grpc
import grpc.aio
import pytest

from inventory_grpc.presentation.grpc_types import Context
from inventory_grpc_protos.v1.commands_pb2 import AddStockRequest, ExecuteBatchRequest
from scripts.bench.figures import Comparison, Sample, Series, Spread
from scripts.bench.goods import LikeReal, made_up
from scripts.bench.in_process import Kind, turn_of
from scripts.bench.load import drive
from scripts.bench.traffic import (
    ADD_STOCK,
    Call,
    Shop,
    Traffic,
    command,
    deliveries,
    echoed,
    get_stock,
    in_bulk,
    in_turn,
)
from scripts.bench.wire import CallFailed


class Counter:
    """Answers every call, but the one of a number, and counts them."""

    def __init__(self) -> None:
        self.requests: list[bytes] = []
        self.refused: int | None = None

    async def echo(self, request: bytes, context: Context) -> bytes:
        self.requests.append(request)
        if len(self.requests) == self.refused:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "not now")
        return request


@pytest.fixture
def counter() -> Counter:
    return Counter()


@asynccontextmanager
async def counting(counter: Counter) -> AsyncIterator[str]:
    server = grpc.aio.server()
    echo: Any = grpc.unary_unary_rpc_method_handler(counter.echo)
    handler = grpc.method_handlers_generic_handler("bench.Ceiling", {"Echo": echo})
    server.add_generic_rpc_handlers([handler])
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    yield f"127.0.0.1:{port}"
    await server.stop(None)


@pytest.fixture
async def address(counter: Counter) -> AsyncIterator[str]:
    async with counting(counter) as address:
        yield address


def some(calls: int) -> Traffic:
    def of_caller(caller: int) -> Iterator[Call]:
        return (Call("", f"{caller}:{number}".encode()) for number in range(calls))

    return echoed(of_caller)


async def test_every_call_reaches_the_server_once_and_is_counted_once(
    counter: Counter, address: str
) -> None:
    load = await drive([address], some(50), callers=7, warm_seconds=0, seconds=30)

    assert load.begun == len(load.latencies) == 350
    assert sorted(counter.requests) == sorted(
        call.request for caller in range(7) for call in some(50)(caller)
    )


async def test_servers_of_one_log_share_the_callers(counter: Counter, address: str) -> None:
    other = Counter()
    async with counting(other) as second:
        load = await drive([address, second], some(50), callers=8, warm_seconds=0, seconds=30)

    assert load.begun == 400
    assert len(counter.requests) == len(other.requests) == 200


async def test_a_caller_without_calls_keeps_nobody_from_calling(
    counter: Counter, address: str
) -> None:
    def of_caller(caller: int) -> Iterator[Call]:
        return some(10)(caller) if caller else iter(())

    await drive([address], of_caller, callers=9, warm_seconds=0, seconds=30)

    assert len(counter.requests) == 80


async def test_a_caller_waits_for_its_answer_before_it_asks_again(
    counter: Counter, address: str
) -> None:
    await drive([address], some(50), callers=1, warm_seconds=0, seconds=30)

    assert counter.requests == [call.request for call in some(50)(0)]


async def test_what_was_begun_is_answered_when_time_is_up(counter: Counter, address: str) -> None:
    load = await drive([address], some(1_000_000), callers=8, warm_seconds=0.05, seconds=0.1)

    assert 0 < len(load.latencies) < load.begun == len(counter.requests)


async def test_a_call_that_is_refused_ends_the_measurement(counter: Counter, address: str) -> None:
    counter.refused = 5

    with pytest.raises(CallFailed, match="not now"):
        await drive([address], some(50), callers=2, warm_seconds=0, seconds=30)


async def test_a_method_that_is_not_there_ends_the_measurement(address: str) -> None:
    def of_caller(_caller: int) -> Iterator[Call]:
        return iter([Call("/bench.Ceiling/Nothing", b"")])

    with pytest.raises(CallFailed):
        await drive([address], of_caller, callers=1, warm_seconds=0, seconds=30)


def test_no_two_commands_of_a_run_are_the_same_request() -> None:
    stocks = made_up(20)
    shop, other = Shop(stocks), Shop(stocks, seed=3)
    callers = [shop.add_anywhere(0), shop.add_anywhere(1), shop.add_to_one(0), other.add_to_one(0)]
    calls = [call for caller in callers for call in islice(caller, 100)]
    calls += map(command, deliveries(stocks, "one"))
    calls += map(command, deliveries(stocks, "other"))

    assert {call.method for call in calls} == {ADD_STOCK}
    ids = {AddStockRequest.FromString(call.request).request_id for call in calls}
    assert len(ids) == len(calls) == 440


def test_stocks_are_read_in_turn_by_all_callers_together() -> None:
    stocks = made_up(30)
    read = in_turn(iter(stocks))
    callers = [read(number) for number in range(3)]
    calls = [next(caller) for _ in range(10) for caller in callers]

    assert calls == [get_stock(stock) for stock in stocks]
    assert next(callers[0], None) is None


def test_what_is_sent_in_bulk_is_every_command_once_in_order() -> None:
    messages = list(in_bulk(deliveries(made_up(1_234), "delivery")))

    requests = [ExecuteBatchRequest.FromString(message) for message in messages]
    assert [len(request.commands) for request in requests] == [500, 500, 234]
    ids = [one.add_stock.request_id for request in requests for one in request.commands]
    assert ids == [f"delivery-{number}" for number in range(1_234)]


def test_no_two_made_up_stocks_have_the_same_name() -> None:
    stocks = LikeReal(1_000_000)

    some = [*stocks[:20_000], *stocks[-20_000:]]
    assert len(set(some)) == len(some)
    assert stocks[999_999] == stocks[-1:][0]


def test_a_case_is_compared_with_what_was_measured_right_beside_it() -> None:
    echo = Series("echo", "calls/s", samples=[Sample(4_000), Sample(1_000), Sample(2_000)])
    case = Series("case", "calls/s", samples=[Sample(2_000), Sample(900), Sample(1_200)])

    assert Comparison(case, echo).ratio == Spread(0.6, 0.2)


class Clockwork:
    """A service that answers at once and says how long that took."""

    def __init__(self, name: str, told: list[tuple[str, list[bytes]]]) -> None:
        self.name = name
        self._told = told

    def seconds(self, _kind: Kind, requests: list[bytes]) -> dict[str, float]:
        self._told.append((self.name, requests))
        return {"process": 0.5}


def test_checkouts_get_the_same_requests_in_turns_and_each_command_counts() -> None:
    told: list[tuple[str, list[bytes]]] = []
    services: Any = {name: Clockwork(name, told) for name in ("", "other")}
    kinds = [Kind("bulk", "", (b"%d" % number for number in count()), 2, 1, counted=500)]

    turns = [list(turn_of(services, kinds, reverse=reverse)) for reverse in (False, True)]

    assert [name for name, _ in told] == ["", "other", "other", ""]
    assert [requests for _, requests in told] == [[b"0", b"1"]] * 2 + [[b"2", b"3"]] * 2
    assert turns[0] == [(name, 0, {"process": 500.0}) for name in ("", "other")]
