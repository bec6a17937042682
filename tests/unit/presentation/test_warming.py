"""The cache is warmed with the stocks of the last events, in pages."""

import pytest

from inventory_grpc.application.ledger.head import Head
from inventory_grpc.domain.stock import Inventory
from inventory_grpc.domain.values import StockId
from inventory_grpc.presentation import warming
from inventory_grpc.presentation.stock_answers import StockAnswers
from inventory_grpc.presentation.warming import warm
from tests.support.scribe import Scribe
from tests.support.stores import Store, in_memory
from tests.support.world import add, stock


class Warmed(StockAnswers):
    """A cache that notes what it is warmed with."""

    def __init__(self) -> None:
        super().__init__(Head(), 1_000, lambda: 0.0)
        self.seen: list[StockId] = []

    def warm(self, stock: Inventory, as_of: int) -> None:
        self.seen.append(stock.stock_id)
        super().warm(stock, as_of)


POTS = [stock(f"pot-{number}", "lisbon") for number in range(9)]
"""Their last events are in this order."""


@pytest.fixture
async def store(monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setattr(warming, "PAGE", 4)
    store = in_memory()
    await Scribe(store).record(*(add(1, pot) for pot in POTS))
    return store


@pytest.mark.parametrize("wanted", [1, 4, 6, 9, 50])
async def test_as_many_stocks_are_read_as_are_wanted_the_last_page_first(
    store: Store, wanted: int
) -> None:
    answers, told = Warmed(), list[tuple[int, int]]()
    await warm(answers, store.views.latest, wanted, lambda *done: told.append(done))
    assert answers.count() == len(answers.seen) == min(wanted, 9)
    page = min(wanted, 4)
    assert set(answers.seen[:page]) == set(POTS[-page:])
    assert told[-1] == (min(wanted, 9), wanted)


async def test_a_stock_that_changed_often_takes_no_room_of_others(store: Store) -> None:
    await Scribe(store).record(*(add(1, POTS[0]) for _ in range(30)))
    answers = Warmed()
    await warm(answers, store.views.latest, 4, lambda *_: None)
    assert answers.count() == 4
    assert answers.seen[0] == POTS[0]


async def test_no_more_events_are_looked_at_than_the_bound(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(warming, "EVENTS_PER_STOCK", 5)
    await Scribe(store).record(*(add(1, POTS[0]) for _ in range(30)))
    answers = Warmed()
    await warm(answers, store.views.latest, 4, lambda *_: None)
    assert set(answers.seen) == {POTS[0]}
