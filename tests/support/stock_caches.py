"""Both levels of the cache of stocks, used alike."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final, Protocol

import pytest

from inventory_grpc.application.ledger.head import Head
from inventory_grpc.domain.event import Fact
from inventory_grpc.domain.levels import Levels
from inventory_grpc.domain.stock import Inventory, StockAdded
from inventory_grpc.domain.values import StockId
from inventory_grpc.infrastructure import valkey_cache
from inventory_grpc.infrastructure.event_bus import InProcessBus
from inventory_grpc.infrastructure.optional import open_shared_cache
from inventory_grpc.presentation.shared_answers import SharedAnswers
from inventory_grpc.presentation.stock_answers import StockAnswers, request_for
from inventory_grpc.presentation.to_proto import fill_stock
from inventory_grpc_protos.v1.queries_pb2 import GetStockResponse
from tests.support.clock import ManualClock
from tests.support.history import event_of
from tests.support.world import NOON

PATIENCE_SECONDS: Final = 30.0


def answer_to(stock_id: StockId, version: int, as_of: int) -> GetStockResponse:
    response = GetStockResponse(as_of_position=as_of)
    fill_stock(response.stock, Inventory(stock_id, Levels(version, 0), version, NOON))
    return response


class Cache(Protocol):
    """A level, as the code that answers `GetStock` uses it."""

    async def find(self, request: bytes, at_least: int) -> GetStockResponse | None: ...

    def keep(self, request: bytes, response: GetStockResponse) -> None:
        """Keep what is read now, with no event between."""


class Level:
    """A level in one process, with the bus and the head of the log."""

    def __init__(self, bus: InProcessBus, head: Head, cache: Cache) -> None:
        self.bus = bus
        self.head = head
        self.cache = cache

    def publish(self, position: int, stock_id: StockId, fact: Fact | None = None) -> None:
        """Publish an event of this process, after which the stock has as many units."""
        event = event_of(
            position, stock_id, fact or StockAdded(1), version=position, after=Levels(position, 0)
        )
        self.bus.publish([event])
        self.head.advance(position)

    def publish_elsewhere(self, *streams: StockId) -> None:
        """Publish an event of another process for each of *streams*."""
        upto = self.head.position + len(streams)
        self.bus.publish_elsewhere(streams, upto)
        self.head.advance(upto)

    def skip(self, upto: int) -> None:
        self.bus.skip(upto)
        self.head.advance(upto)

    def keep(self, stock_id: StockId, version: int, as_of: int) -> None:
        self.cache.keep(request_for(*stock_id), answer_to(stock_id, version, as_of))

    async def find(self, stock_id: StockId, at_least: int = 0) -> GetStockResponse | None:
        return await self.cache.find(request_for(*stock_id), at_least)


class FirstLevel:
    def __init__(self, answers: StockAnswers) -> None:
        self._answers = answers

    async def find(self, request: bytes, at_least: int) -> GetStockResponse | None:
        answer = self._answers.find(request, at_least)
        return None if answer is None else GetStockResponse.FromString(answer)

    def keep(self, request: bytes, response: GetStockResponse) -> None:
        fill = self._answers.begin(request)
        self._answers.keep(request, response, response.SerializeToString(), fill)
        self._answers.end(request, fill)


@asynccontextmanager
async def first_level() -> AsyncIterator[Level]:
    bus, head = InProcessBus(), Head()
    answers = StockAnswers(head, 1_000, ManualClock().seconds)
    bus.subscribe(answers)
    yield Level(bus, head, FirstLevel(answers))


@asynccontextmanager
async def second_level(url: str, log_id: str = "log-1") -> AsyncIterator[Level]:
    with pytest.MonkeyPatch.context() as patched:
        be_patient(patched)
        async with open_shared_cache(url) as cache:
            assert cache is not None
            bus, head = InProcessBus(), Head()
            shared = SharedAnswers(cache, lambda: log_id, head)
            bus.subscribe(shared)
            yield Level(bus, head, shared)


def be_patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have callers wait for the shared cache on a busy machine, too."""
    monkeypatch.setattr(valkey_cache, "ANSWER_SECONDS", PATIENCE_SECONDS)
    monkeypatch.setattr(valkey_cache, "CALL_SECONDS", PATIENCE_SECONDS)
