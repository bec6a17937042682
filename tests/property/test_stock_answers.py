"""Law: with the cache of encoded stocks, each answer is what it would be without, byte for byte."""

import random
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import pytest

from inventory_grpc.application.access import ANYBODY, Caller, Role, Scope
from inventory_grpc.application.failures import PermissionDenied, PositionAhead
from inventory_grpc.application.queries.snapshot import Queries
from inventory_grpc.domain.refusals import Refusal, StockNotFound
from inventory_grpc.domain.values import StockId, StoreId
from inventory_grpc.presentation.stock_answers import StockAnswers, request_for
from inventory_grpc_protos.v1.queries_pb2 import GetStockRequest, GetStockResponse
from tests.support.any_command import STOCKS
from tests.support.engine import Engine, assemble, running, settle
from tests.support.engines import on_each_engine
from tests.support.histories import Step, assert_reached, for_all, histories
from tests.support.stock_reads import StockReads
from tests.support.stores import Store

pytestmark = on_each_engine

LISBON: Final = Caller("till", Role.READER, Scope(frozenset({StoreId("lisbon")})))
CALLERS: Final = (ANYBODY, ANYBODY, LISBON)
PARTICULARS: Final = ("states", "fences", "backordered", "safety_stock", "low_stock", "retired")


def _spellings(stock_id: StockId) -> Sequence[bytes]:
    """Return requests for a stock, most of them in the canonical spelling."""
    product_id, store_id = stock_id
    product, store = request_for(product_id, ""), request_for("", store_id)
    product, store = product[: len(product_id) + 2], store[-len(store_id) - 2 :]
    return (
        product + store,
        product + store,
        product + store,
        store + product,
        product + product + store,
        product + store + b"\x78\x00",
        product + store + GetStockRequest(min_position=1).SerializeToString(),
        product + store + GetStockRequest(as_of_position=2).SerializeToString(),
    )


@dataclass
class Reader:
    """Asks two processes for stocks, and compares each answer with that of the file."""

    engines: Sequence[Engine]
    file: StockReads
    """Without a cache."""
    chance: random.Random
    reached: Counter[str]

    async def ask(self, engine: Engine, stock_id: StockId) -> None:
        request, caller = self.chance.choice(_spellings(stock_id)), self.chance.choice(CALLERS)
        published, shown, hits = engine.head.position, engine.queries.shown, engine.answers.hits
        try:
            answer = await engine.stocks.answer(request, caller)
        except (StockNotFound, PermissionDenied, PositionAhead) as refusal:
            self.reached[type(refusal).__name__] += 1
            with pytest.raises(type(refusal)):
                await self.file.without_cache(request, caller)
            return
        if GetStockRequest.FromString(request).WhichOneof("as_of"):
            assert answer == await self.file.without_cache(request, caller)
            self.reached["of a moment"] += 1
            return
        end = await engine.store.event_log.head()
        told = GetStockResponse.FromString(answer)
        as_of = told.as_of_position
        assert max(published, shown) <= as_of <= end
        moment = GetStockRequest(as_of_position=as_of).SerializeToString()
        assert answer == await self.file.without_cache(request_for(*stock_id) + moment)
        newest = await self.file.without_cache(request, caller)
        if as_of == GetStockResponse.FromString(newest).as_of_position:
            assert answer == newest
        if engine.answers.hits == hits:
            self.reached["from the file"] += 1
            return
        self.reached["from the cache"] += 1
        self.reached["from the cache, and not the newest"] += as_of < end
        self.reached["from the cache, by a caller with some stores"] += caller is LISBON
        for name in PARTICULARS:
            self.reached[name] += bool(getattr(told.stock, name))


def test_with_the_cache_each_answer_is_what_it_would_be_without_byte_by_byte() -> None:
    reached = Counter[str]()

    async def story(store: Store, history: list[Step]) -> None:
        chance = random.Random(len(history))
        one = assemble(store)
        other = assemble(store, one.clock)
        uncached = Queries(store.views, store.event_log)
        nothing = StockAnswers(one.head, 1, one.clock.seconds)
        reader = Reader((one, other), StockReads(uncached, nothing), chance, reached)
        async with running(one), running(other):
            for pause, command in history:
                one.clock.go_on(pause)
                engine = chance.choice(reader.engines)
                with suppress(Refusal):
                    await engine.record(command)
                if chance.random() < 0.3:
                    chance.choice(reader.engines).ledger.follow()
                    await settle()
                for _ in range(3):
                    await reader.ask(chance.choice(reader.engines), chance.choice(STOCKS))
            for engine in reader.engines:
                assert engine.answers.count() <= len(STOCKS), "one entry a stock"

    for_all(histories, story)
    assert_reached(
        reached,
        "from the cache",
        "from the cache, and not the newest",
        "from the file",
        "of a moment",
        "StockNotFound",
        "PermissionDenied",
        "from the cache, by a caller with some stores",
        *PARTICULARS,
    )
