"""Contract of stores on walks: how far changes of terms are on the way to their stocks."""

from collections.abc import Sequence

import pytest

from inventory_grpc.application.ports import Transaction, Walk
from inventory_grpc.application.queries.policy import PolicyByScope
from inventory_grpc.application.queries.settled import UnsettledChanges
from inventory_grpc.domain.event import SubjectKey
from inventory_grpc.domain.policy import PolicyScope
from inventory_grpc.domain.product import ProductKey, RetireProduct
from inventory_grpc.domain.store import RetireStore, StoreKey
from inventory_grpc.domain.values import ProductId, StockId, StoreId
from tests.support.history import appending
from tests.support.scribe import Scribe
from tests.support.stores import Store
from tests.support.world import KETTLES, PORTO_KETTLES, TOASTERS, add, policy, put, put_store

EVERYWHERE = PolicyScope.of(None, None)
IN_ORDER = [KETTLES, PORTO_KETTLES, TOASTERS]


async def walks(store: Store, limit: int = 100) -> Sequence[Walk]:
    found, pending = await store.storage.observe(lambda t: (t.walks(limit), t.pending()))
    assert pending.walks == bool(found)
    return found


async def stocks_of(
    store: Store, subject: SubjectKey, after: StockId | None = None, limit: int = 100
) -> list[StockId]:
    walk = Walk(subject, 1, after)
    return [*await store.storage.observe(lambda t: t.stocks_of(walk, limit))]


async def stocked(store: Store) -> Scribe:
    """Return a scribe of a shop whose stocks did not come in the order of their names."""
    scribe = Scribe(store)
    await scribe.record(*(add(5, stock_id) for stock_id in (TOASTERS, PORTO_KETTLES, KETTLES)))
    return scribe


async def keep(store: Store, walk: Walk, *, is_over: bool = False) -> None:
    def work(transaction: Transaction) -> None:
        transaction.write([], [], {walk.subject: None if is_over else walk})

    await store.storage.transact(work)


async def test_nothing_is_on_its_way_in_an_empty_log(store: Store) -> None:
    assert await walks(store) == []
    assert await stocks_of(store, EVERYWHERE) == []


async def test_each_change_of_terms_begins_a_walk_the_oldest_of_which_is_first(
    store: Store,
) -> None:
    scribe = await stocked(store)
    await scribe.record(put("kettle"), put_store("lisbon"))
    await scribe.record(
        policy(safety_stock=1),
        RetireStore(StoreId("lisbon"), restore=False),
        RetireProduct(ProductId("kettle"), restore=False),
        policy("kettle", "lisbon", safety_stock=2),
    )
    expected = [
        Walk(EVERYWHERE, 6, None),
        Walk(StoreKey("lisbon"), 7, None),
        Walk(ProductKey("kettle"), 8, None),
        Walk(PolicyScope.of("kettle", "lisbon"), 9, None),
    ]
    assert await walks(store) == expected
    assert await walks(store, limit=2) == expected[:2]


async def test_a_walk_begins_again_and_becomes_the_newest_if_its_subject_changes_again(
    store: Store,
) -> None:
    scribe = await stocked(store)
    await scribe.record(policy(safety_stock=1), policy("kettle", safety_stock=1))
    await keep(store, Walk(EVERYWHERE, 4, KETTLES))
    assert await walks(store) == [
        Walk(EVERYWHERE, 4, KETTLES),
        Walk(PolicyScope.of("kettle", None), 5, None),
    ]
    await scribe.record(policy(safety_stock=2))
    assert await walks(store) == [
        Walk(PolicyScope.of("kettle", None), 5, None),
        Walk(EVERYWHERE, 6, None),
    ]


async def test_a_walk_that_ends_leaves_the_others(store: Store) -> None:
    scribe = await stocked(store)
    await scribe.record(policy(safety_stock=1), policy("kettle", safety_stock=1))
    await keep(store, Walk(EVERYWHERE, 4, None), is_over=True)
    assert await walks(store) == [Walk(PolicyScope.of("kettle", None), 5, None)]


async def test_a_step_whose_transaction_fails_has_not_been_done(store: Store) -> None:
    scribe = await stocked(store)
    await scribe.record(policy(safety_stock=1))

    def work(transaction: Transaction) -> None:
        transaction.write([], [], {EVERYWHERE: None})
        appending(policy("kettle", safety_stock=1))(transaction)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await store.storage.transact(work)
    assert await walks(store) == [Walk(EVERYWHERE, 4, None)]


@pytest.mark.parametrize(
    ("subject", "expected"),
    [
        (EVERYWHERE, IN_ORDER),
        (PolicyScope.of("kettle", None), [KETTLES, PORTO_KETTLES]),
        (ProductKey("kettle"), [KETTLES, PORTO_KETTLES]),
        (PolicyScope.of(None, "lisbon"), [KETTLES, TOASTERS]),
        (StoreKey("lisbon"), [KETTLES, TOASTERS]),
        (PolicyScope.of("kettle", "porto"), [PORTO_KETTLES]),
        (ProductKey("pan"), []),
    ],
    ids=str,
)
async def test_a_walk_comes_to_each_stock_that_it_covers_once_in_the_order_of_names(
    store: Store, subject: SubjectKey, expected: Sequence[StockId]
) -> None:
    await stocked(store)
    assert await stocks_of(store, subject) == expected
    reached: list[StockId] = []
    while page := await stocks_of(store, subject, reached[-1] if reached else None, limit=1):
        reached += page
    assert reached == expected


async def test_a_change_is_settled_when_its_walk_has_ended(store: Store) -> None:
    scribe = await stocked(store)
    await scribe.record(policy(safety_stock=1), policy("pan", safety_stock=1))
    assert await unsettled(store) == (2, False)
    await scribe.walk()
    assert await unsettled(store) == (0, True)
    assert await walks(store) == []


async def test_no_more_changes_are_counted_than_the_limit(store: Store) -> None:
    products = ("pan", "lid", "cup")
    await Scribe(store).record(*(policy(product, safety_stock=1) for product in products))
    for limit in (2, 3, 4):
        assert (await store.views.latest.read(UnsettledChanges(limit))).value == min(3, limit)


async def unsettled(store: Store) -> tuple[int, bool]:
    """Return how many changes are on their way, and whether that of all stocks is not."""
    count = (await store.views.latest.read(UnsettledChanges())).value
    found = (await store.views.latest.read(PolicyByScope(EVERYWHERE))).value
    return count, found.shown.settled
