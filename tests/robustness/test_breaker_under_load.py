"""While storage fails and recovers, no answer is false, and reads go on (G18)."""

import asyncio
import re
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from itertools import pairwise
from pathlib import Path
from typing import Final

import grpc.aio
from grpc import StatusCode
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse

from inventory_grpc.application.ledger.circuit_breaker import WINDOW, BreakerState
from inventory_grpc_protos.v1.commands_pb2 import (
    CommitReservationRequest,
    ReleaseReservationRequest,
)
from inventory_grpc_protos.v1.queries_pb2 import (
    BatchGetStockRequest,
    GetReservationRequest,
    GetStockRequest,
)
from inventory_grpc_protos.v1.stock_pb2 import StockKey
from tests.robustness.inside import serving_openly
from tests.support.caller import SECONDS, Caller, adding, calling, line, refusal, reserving
from tests.support.effort import campaign, runs
from tests.support.opened import checked, events, requests_of
from tests.support.server_process import server_process

COMMANDS: Final = "inventory.v1.InventoryCommands"
CALLERS: Final = 8
KETTLES: Final = GetStockRequest(product_id="kettle", store_id="lisbon")
CART: Final = GetReservationRequest(reservation_id="cart-1")
SHELF: Final = BatchGetStockRequest(keys=[StockKey(product_id="kettle", store_id="lisbon")])

_CHANGE: Final = re.compile(r"circuit breaker is (closed|half open|open)")
_NEXT: Final = {
    ("closed", "open"),
    ("open", "half open"),
    ("half open", "open"),
    ("half open", "closed"),
}


class Trade:
    """Calls made while storage failed at times, and their answers."""

    def __init__(self, caller: Caller) -> None:
        self.caller = caller
        self.acknowledged: set[str] = set()
        self.refused: set[str] = set()
        self.reads = 0
        self.reads_refused = 0
        self.slowest_read = 0.0
        self.health: list[int] = []

    async def write(self, who: int, enough: Callable[[], bool]) -> None:
        number = 0
        while not enough():
            number += 1
            name = f"{who}-{number}"
            try:
                await self.caller.commands.AddStock(adding(1, request_id=name), timeout=SECONDS)
            except grpc.aio.AioRpcError as error:
                _is_pushed_back(error)
                self.refused.add(name)
                await asyncio.sleep(0.02)
            else:
                self.acknowledged.add(name)

    async def read(self) -> None:
        """Go on reading what is at hand, and what has to be read from the file.

        Who comes in the very moment in which the file is reopened is told to come again.
        """
        queries = self.caller.queries
        while True:
            for ask in (
                lambda: queries.GetStock(KETTLES, timeout=SECONDS),
                lambda: queries.GetReservation(CART, timeout=SECONDS),
                lambda: queries.BatchGetStock(SHELF, timeout=SECONDS),
            ):
                begun = time.monotonic()
                self.reads_refused += await _until_done(ask, "READS_REFUSED")
                self.slowest_read = max(self.slowest_read, time.monotonic() - begun)
                self.reads += 1

    @property
    def came_back(self) -> int:
        """Return how often health has said that writes are possible again."""
        return self.health[1:].count(HealthCheckResponse.SERVING)

    async def watch(self) -> None:
        watching = self.caller.health.Watch(HealthCheckRequest(service=COMMANDS))
        async for answer in watching:
            self.health.append(answer.status)


async def _until_done(ask: Callable[[], Awaitable[object]], reason: str = "WRITES_REFUSED") -> int:
    """Ask until storage has done it; return how often it had not."""
    refused = 0
    while True:
        try:
            await ask()
        except grpc.aio.AioRpcError as error:
            _is_pushed_back(error, reason)
            refused += 1
            await asyncio.sleep(0.02)
        else:
            return refused


def _is_pushed_back(error: grpc.aio.AioRpcError, reason: str = "WRITES_REFUSED") -> None:
    answer = refusal(error)
    assert (answer.code, answer.reason) == (StatusCode.UNAVAILABLE, reason)
    assert int(answer.trailers["grpc-retry-pushback-ms"]) > 0


async def test_while_storage_fails_and_comes_back_a_refusal_means_that_nothing_was_written(
    path: Path, tmp_path: Path
) -> None:
    times = runs(least=1, ci=4, deep=200)
    async with (
        server_process(
            path, tmp_path / "log", fail_points="before_commit=error:broken@0.1"
        ) as server,
        calling(await server.address()) as caller,
    ):
        trade = Trade(caller)
        await _until_done(lambda: caller.commands.AddStock(adding(1, request_id="first")))
        await _until_done(
            lambda: caller.commands.ReserveStock(
                reserving(line(1), name="cart-1", request_id="second")
            )
        )
        trade.acknowledged |= {"first", "second"}
        with campaign("breaker under load", times=times) as noted:
            looking = [
                asyncio.create_task(trade.watch()),
                *(asyncio.create_task(trade.read()) for _ in range(4)),
            ]
            await asyncio.gather(
                *(trade.write(who, lambda: trade.came_back >= times) for who in range(CALLERS))
            )
            for task in looking:
                assert not task.done(), task.exception()
                task.cancel()
            await asyncio.wait(looking)
            states = _CHANGE.findall(server.log_file.read_text("utf-8"))
            noted.update(
                refused=len(trade.refused),
                acknowledged=len(trade.acknowledged),
                reads=trade.reads,
                reads_refused=trade.reads_refused,
            )
    assert states.count("half open") >= times
    assert set(pairwise(["closed", *states])) <= _NEXT
    assert all(one != next_ for one, next_ in pairwise(trade.health))
    assert trade.reads > 10 * times
    assert trade.slowest_read < SECONDS / 2, "reads waited for storage that took writes again"
    assert requests_of(events(path)).keys() == trade.acknowledged
    assert trade.refused
    checked(path)


WRONG: Final[dict[StatusCode, Callable[[Caller], Awaitable[object]]]] = {
    StatusCode.INVALID_ARGUMENT: lambda caller: caller.commands.AddStock(adding(0)),
    StatusCode.NOT_FOUND: lambda caller: caller.commands.CommitReservation(
        CommitReservationRequest(reservation_id="nobody")
    ),
    StatusCode.ALREADY_EXISTS: lambda caller: caller.commands.AddStock(
        adding(2, request_id="first")
    ),
    StatusCode.FAILED_PRECONDITION: lambda caller: caller.commands.ReserveStock(
        reserving(line(1_000_000))
    ),
    StatusCode.ABORTED: lambda caller: caller.commands.AddStock(adding(1, expected_version=99)),
    StatusCode.OUT_OF_RANGE: lambda caller: caller.queries.GetStock(
        GetStockRequest(product_id="kettle", store_id="lisbon", min_position=10**9)
    ),
    StatusCode.DEADLINE_EXCEEDED: lambda caller: caller.commands.ReleaseReservation(
        ReleaseReservationRequest(reservation_id="first"), timeout=-1
    ),
}
"""One way to be wrong for each code that says so."""


async def test_no_number_of_wrong_calls_opens_it(path: Path) -> None:
    told: list[BreakerState] = []
    found: Counter[StatusCode] = Counter()
    async with serving_openly(path) as inside, calling(inside.address) as caller:
        inside.served.engine.breaker.on_change(told.append)
        await caller.commands.AddStock(adding(1, request_id="first"))

        async def be_wrong(ask: Callable[[Caller], Awaitable[object]]) -> None:
            for _ in range(5 * WINDOW):
                try:
                    await ask(caller)
                except grpc.aio.AioRpcError as error:
                    found[error.code()] += 1

        async def leave() -> None:
            for number in range(5 * WINDOW):
                asked = asyncio.ensure_future(caller.commands.AddStock(adding(1)))
                await asyncio.sleep(number % 4 / 1_000)
                asked.cancel()
                await asyncio.wait([asked])

        await asyncio.gather(leave(), *(be_wrong(ask) for ask in WRONG.values()))
        assert found == dict.fromkeys(WRONG, 5 * WINDOW)
        await caller.commands.AddStock(adding(1))
    assert told == []
    assert inside.served.engine.breaker.state is BreakerState.CLOSED
