"""Contract of stores on backorders: who waits for a stock, and where goods have come in."""

from collections.abc import Sequence

import pytest

from inventory_grpc.application.ports import Transaction
from inventory_grpc.domain.values import StockId
from tests.support.history import appending
from tests.support.scribe import Scribe
from tests.support.stores import Store
from tests.support.terms import terms
from tests.support.world import (
    KETTLES,
    MINUTE,
    PORTO_KETTLES,
    TOASTERS,
    add,
    amend,
    change_by,
    commit,
    release,
    reserve,
)


async def selling_ahead(store: Store, *stock_ids: StockId) -> Scribe:
    """Return a scribe of a shop that takes backorders for these stocks; nothing is there."""
    scribe = Scribe(store)
    for stock_id in stock_ids or (KETTLES,):
        await scribe.record(terms(stock_id, limit=100))
    return scribe


async def waiting(store: Store, stock_id: StockId = KETTLES, limit: int = 100) -> Sequence[str]:
    return list(await store.storage.observe(lambda t: t.waiting(stock_id, limit)))


async def fills_due(store: Store, limit: int = 100) -> set[StockId]:
    due, pending = await store.storage.observe(lambda t: (t.fills_due(limit), t.pending()))
    assert pending.fills == bool(due)
    assert len(due) <= limit
    return set(due)


async def test_nobody_waits_in_an_empty_log(store: Store) -> None:
    assert await waiting(store) == []
    assert await fills_due(store) == set()


async def test_whoever_reserved_first_is_first(store: Store) -> None:
    scribe = await selling_ahead(store)
    for name in ("c", "a", "b"):
        await scribe.record(reserve(1, name))
    assert await waiting(store) == ["c", "a", "b"]
    assert await waiting(store, limit=2) == ["c", "a"]
    assert await fills_due(store) == set()


async def test_units_from_stock_wait_for_nothing(store: Store) -> None:
    scribe = await selling_ahead(store)
    await scribe.record(add(2), reserve(2, "from-stock"), reserve(1, "waits"))
    assert await waiting(store) == ["waits"]


async def test_each_stock_has_its_own_queue(store: Store) -> None:
    scribe = await selling_ahead(store, KETTLES, TOASTERS)
    await scribe.record(
        reserve({TOASTERS: 1}, "t"),
        reserve({KETTLES: 1, TOASTERS: 1}, "both"),
        reserve({KETTLES: 1}, "k"),
    )
    assert await waiting(store) == ["both", "k"]
    assert await waiting(store, TOASTERS) == ["t", "both"]
    assert await waiting(store, PORTO_KETTLES) == []


async def test_a_line_that_is_amended_upwards_gives_up_its_place(store: Store) -> None:
    scribe = await selling_ahead(store, KETTLES, TOASTERS)
    await scribe.record(
        reserve({KETTLES: 2, TOASTERS: 1}, "a"), reserve({KETTLES: 2, TOASTERS: 1}, "b")
    )
    await scribe.record(amend({KETTLES: 3, TOASTERS: 1}, "a"))
    assert await waiting(store) == ["b", "a"]
    assert await waiting(store, TOASTERS) == ["a", "b"]
    await scribe.record(amend({KETTLES: 1, TOASTERS: 1}, "b"))
    assert await waiting(store) == ["b", "a"], "who asks for less keeps the place"


async def test_a_line_that_an_old_reservation_adds_is_a_young_one(store: Store) -> None:
    scribe = await selling_ahead(store, KETTLES, TOASTERS)
    await scribe.record(reserve({TOASTERS: 1}, "old"), reserve(1, "young"))
    await scribe.record(amend({TOASTERS: 1, KETTLES: 1}, "old"))
    assert await waiting(store) == ["young", "old"]


@pytest.mark.parametrize("name", ["released", "expired", "amended"])
async def test_who_gives_the_units_back_waits_no_more(store: Store, name: str) -> None:
    scribe = await selling_ahead(store, KETTLES, TOASTERS)
    await scribe.record(reserve({KETTLES: 1, TOASTERS: 1}, name))
    if name == "released":
        await scribe.record(release(name=name))
    elif name == "amended":
        await scribe.record(amend({TOASTERS: 1}, name))
    else:
        scribe.clock.go_on(60 * MINUTE)
        await scribe.expire_due()
    assert await waiting(store) == []
    assert await fills_due(store) == set()


async def test_goods_that_came_in_are_due_until_the_fills_are_recorded(store: Store) -> None:
    scribe = await selling_ahead(store, KETTLES, TOASTERS)
    await scribe.record(reserve({KETTLES: 3, TOASTERS: 3}, "a"), reserve(3, "b"))
    await scribe.record(add(4))
    assert await fills_due(store) == {KETTLES}
    assert await waiting(store) == ["a", "b"]
    await scribe.fill_due()
    assert await fills_due(store) == set()
    assert await waiting(store) == ["b"], "a has all units, b one of three"
    assert await waiting(store, TOASTERS) == ["a"]
    await scribe.record(add(9), add(1, TOASTERS))
    assert await fills_due(store) == {KETTLES, TOASTERS}
    assert len(await store.storage.observe(lambda t: t.fills_due(1))) == 1
    await scribe.fill_due()
    assert (await waiting(store), await waiting(store, TOASTERS)) == ([], ["a"])


async def test_whatever_makes_room_makes_fills_due(store: Store) -> None:
    scribe = await selling_ahead(store)
    await scribe.record(
        add(5), terms(limit=100, safety=2), reserve(3, "from-stock"), reserve(4, "waits")
    )
    await scribe.record(release(1, "from-stock"))
    assert await fills_due(store) == {KETTLES}, "units were given back"
    await scribe.record(reserve(1, "another"))
    assert await fills_due(store) == {KETTLES}, "who comes later takes nothing of it"
    await scribe.fill_due()
    assert await fills_due(store) == set()
    await scribe.record(terms(limit=100))
    assert await fills_due(store) == {KETTLES}, "the safety stock is for promises now"
    await scribe.record(terms(limit=100, safety=2))
    assert await fills_due(store) == set(), "and before anybody had it, it is safety stock again"


async def test_a_commit_takes_only_what_is_filled_and_nothing_is_due_after_it(
    store: Store,
) -> None:
    scribe = await selling_ahead(store)
    await scribe.record(reserve(2, "a"), reserve(2, "b"), add(3), commit(2, "a"))
    assert await fills_due(store) == set()
    assert await waiting(store) == ["b"]
    await scribe.record(commit(1, "b"))
    assert await waiting(store) == ["b"]


async def test_goods_that_are_lost_again_were_given_to_somebody_first(store: Store) -> None:
    scribe = await selling_ahead(store)
    await scribe.record(reserve(2, "a"), reserve(2, "b"), add(3))
    await scribe.record(change_by(-1))
    assert await fills_due(store) == set()
    assert await waiting(store) == ["b"]


async def test_work_that_raises_leaves_the_queue_as_it_was(store: Store) -> None:
    scribe = await selling_ahead(store)
    await scribe.record(reserve(2, "a"), reserve(2, "b"))

    def work(transaction: Transaction) -> None:
        appending(add(1), reserve(1, "c"), release(name="b"))(transaction)
        assert list(transaction.waiting(KETTLES, 10)) == ["a", "c"]
        assert transaction.pending().fills
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await store.storage.transact(work)
    assert await waiting(store) == ["a", "b"]
    assert await fills_due(store) == set()
