"""Contract of stores on pages of stocks with many states and ring-fences: they fit into 1 MiB."""

from typing import Final

import pytest

from inventory_grpc.application.queries.stock import ProductInventoryById, StockQuery
from inventory_grpc.domain.levels import FenceUnits, Levels, Particulars, StateUnits, Terms
from inventory_grpc.domain.stock import Inventory
from inventory_grpc.domain.values import MAX_FENCES, MAX_LEVEL, MAX_OWN_STATES, Channel, UnitState
from inventory_grpc.infrastructure.rows import bounds
from inventory_grpc.infrastructure.rows.stocks import page_of
from inventory_grpc.presentation.page_tokens import MAX_BYTES, MAX_SIZE
from inventory_grpc.presentation.to_proto import fill_stock
from inventory_grpc_protos.v1.queries_pb2 import ListStockResponse
from tests.support.memory.store import MemoryStore
from tests.support.scribe import Scribe
from tests.support.stores import Store
from tests.support.terms import terms
from tests.support.world import NOON, add, fence, stock

STORES: Final = [f"s{number}" for number in range(9)]


@pytest.fixture(autouse=True)
def room_for_three(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "LISTED_BYTES", 1_000)


@pytest.fixture
async def full(store: Store) -> Store:
    """Return a store with nine stocks of which a page has room for three."""
    for name in STORES:
        shelf = stock("kettle", name)
        await Scribe(store).record(terms(shelf, low_at=9), add(9, shelf), fence(2, of=shelf))
    return store


def pages_of(store: Store) -> int:
    return 1 if isinstance(store.storage, MemoryStore) else 3


@pytest.mark.parametrize("low_stock", [False, True])
async def test_a_page_of_large_stocks_is_cut_short(full: Store, *, low_stock: bool) -> None:
    seen, after, pages = list[str](), None, 0
    while not pages or after:
        query = StockQuery(low_stock=low_stock, after=after)
        page = (await full.views.latest.read(query)).value
        seen += [row.stock_id.store_id for row in page.rows]
        after, pages = page.after, pages + 1
    assert (seen, pages) == (STORES, pages_of(full))


async def test_a_page_of_a_product_with_large_stocks_is_cut_short(full: Store) -> None:
    seen, after, pages = list[str](), "", 0
    while not pages or after:
        query = ProductInventoryById("kettle", after)
        stocks = (await full.views.latest.read(query)).value.stocks
        seen += [row.stock_id.store_id for row in stocks.rows]
        after, pages = stocks.after[1] if stocks.after else "", pages + 1
    assert (seen, pages) == (STORES, pages_of(full))


def largest(number: int, parts: int) -> Inventory:
    names = [f"{part:x>128}" for part in range(parts)]
    particulars = Particulars(
        tuple(StateUnits(UnitState(name), MAX_LEVEL) for name in names[: 4 + MAX_OWN_STATES]),
        tuple(FenceUnits(Channel(name), MAX_LEVEL) for name in names[:MAX_FENCES]),
        MAX_LEVEL,
        Terms(10**9, MAX_LEVEL, MAX_LEVEL),
        is_low=True,
    )
    levels = Levels(MAX_LEVEL, MAX_LEVEL, particulars)
    return Inventory(stock("p" * 128, f"{number:x>128}"), levels, MAX_LEVEL, NOON)


@pytest.mark.parametrize("parts", [0, 1, 2, 4, 20])
def test_the_largest_page_of_stocks_fits(parts: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    stocks = [largest(number, parts) for number in range(MAX_SIZE)]
    response = ListStockResponse()
    for one in page_of(stocks, MAX_SIZE):
        fill_stock(response.stocks.add(), one)
    assert response.ByteSize() <= MAX_BYTES
    assert len(response.stocks) == MAX_SIZE or response.ByteSize() > MAX_BYTES // 2
