"""Contract of stores on time: overdue reservations are listed, oldest first."""

from collections.abc import Sequence

import pytest

from inventory_grpc.application.ports import Transaction
from inventory_grpc.domain.values import Instant, Never, ReservationId, Span, StockId, Ttl, Until
from tests.support.history import appending
from tests.support.scribe import Scribe
from tests.support.stores import Store
from tests.support.world import (
    KETTLES,
    MINUTE,
    PORTO_KETTLES,
    TOASTERS,
    add,
    amend,
    commit,
    extend,
    later,
    release,
    reserve,
)

LONG_AFTER = later(1_000 * MINUTE)


def minutes(number: int) -> Ttl:
    return Ttl(Span(number * MINUTE))


async def stocked(store: Store) -> Scribe:
    scribe = Scribe(store)
    await scribe.record(add(100), add(100, TOASTERS))
    return scribe


async def due(store: Store, now: Instant = LONG_AFTER, limit: int = 100) -> Sequence[str]:
    return list(await store.storage.observe(lambda t: t.due(now, limit)))


async def due_on(
    store: Store, stock_id: StockId, now: Instant = LONG_AFTER, limit: int = 100
) -> Sequence[str]:
    return list(await store.storage.observe(lambda t: t.due(now, limit, stock_id)))


async def earliest(store: Store) -> Instant | None:
    return await store.storage.observe(lambda t: t.pending().expiry)


async def test_nothing_is_due_in_an_empty_log(store: Store) -> None:
    assert await earliest(store) is None
    assert await due(store) == []
    assert await due_on(store, KETTLES) == []


async def test_what_is_over_first_is_due_first_whenever_it_was_made(store: Store) -> None:
    scribe = await stocked(store)
    for name, ttl in (("b", 20), ("d", 40), ("a", 10), ("c", 30)):
        await scribe.record(reserve(1, name, expiration=minutes(ttl)))
    assert await due(store) == ["a", "b", "c", "d"]
    assert await due_on(store, KETTLES) == ["a", "b", "c", "d"]
    assert await earliest(store) == later(10 * MINUTE)


async def test_a_hold_is_due_at_its_time_and_not_before(store: Store) -> None:
    scribe = await stocked(store)
    await scribe.record(reserve(1, expiration=minutes(10)))
    over = later(10 * MINUTE)
    assert await due(store, Instant(over - 1)) == []
    assert await due_on(store, KETTLES, Instant(over - 1)) == []
    assert await due(store, over) == ["r1"]
    assert await due_on(store, KETTLES, over) == ["r1"]


async def test_no_more_are_named_than_are_asked_for(store: Store) -> None:
    scribe = await stocked(store)
    for number in range(5):
        await scribe.record(reserve(1, f"r{number}", expiration=minutes(10 + number)))
    assert await due(store, limit=2) == ["r0", "r1"]
    assert await due_on(store, KETTLES, limit=3) == ["r0", "r1", "r2"]


async def test_what_never_expires_is_never_due(store: Store) -> None:
    scribe = await stocked(store)
    await scribe.record(reserve(1, expiration=Never()))
    assert await earliest(store) is None
    assert await due(store) == []
    assert await due_on(store, KETTLES) == []


async def test_only_holds_of_a_stock_are_due_on_it(store: Store) -> None:
    scribe = await stocked(store)
    await scribe.record(
        reserve({KETTLES: 1}, "k", expiration=minutes(10)),
        reserve({TOASTERS: 1}, "t", expiration=minutes(20)),
        reserve({TOASTERS: 1, KETTLES: 1}, "both", expiration=minutes(30)),
    )
    assert await due_on(store, KETTLES) == ["k", "both"]
    assert await due_on(store, TOASTERS) == ["t", "both"]
    assert await due_on(store, PORTO_KETTLES) == []
    assert await due(store) == ["k", "t", "both"]


async def test_a_line_that_holds_nothing_is_due_no_more_while_the_others_are(store: Store) -> None:
    scribe = await stocked(store)
    await scribe.record(reserve({KETTLES: 2, TOASTERS: 2}), commit({KETTLES: 2}))
    assert await due_on(store, KETTLES) == []
    assert await due_on(store, TOASTERS) == ["r1"]
    await scribe.record(release({TOASTERS: 1}))
    assert await due_on(store, TOASTERS) == ["r1"]
    assert await due(store) == ["r1"]
    await scribe.record(commit())
    assert await due(store) == []
    assert await due_on(store, TOASTERS) == []
    assert await earliest(store) is None


async def test_what_is_let_go_of_is_due_no_more(store: Store) -> None:
    scribe = await stocked(store)
    for name in ("released", "committed", "expired"):
        await scribe.record(reserve({KETTLES: 1, TOASTERS: 1}, name))
    await scribe.record(release(name="released"), commit(name="committed"))
    assert await due(store) == ["expired"]
    scribe.clock.go_on(30 * MINUTE)
    await scribe.expire_due()
    assert await due(store) == []
    assert await due_on(store, KETTLES) == []
    assert await earliest(store) is None


async def test_extending_moves_when_it_is_due(store: Store) -> None:
    scribe = await stocked(store)
    await scribe.record(
        reserve({KETTLES: 1, TOASTERS: 1}, "first", expiration=minutes(10)),
        reserve({KETTLES: 1, TOASTERS: 1}, "second", expiration=minutes(20)),
        extend(Until(later(30 * MINUTE)), "first"),
    )
    assert await due(store) == ["second", "first"]
    assert await due_on(store, KETTLES) == ["second", "first"]
    assert await due_on(store, TOASTERS, later(20 * MINUTE)) == ["second"]
    assert await earliest(store) == later(20 * MINUTE)
    await scribe.record(extend(Never(), "second"))
    assert await due(store) == ["first"]
    await scribe.record(extend(minutes(5), "second"))
    assert await due(store) == ["second", "first"]


async def test_a_line_used_up_before_an_extension_stays_out_of_it(store: Store) -> None:
    scribe = await stocked(store)
    await scribe.record(
        reserve({KETTLES: 1, TOASTERS: 1}), commit({KETTLES: 1}), extend(minutes(5))
    )
    assert await due_on(store, KETTLES) == []
    assert await due_on(store, TOASTERS) == [ReservationId("r1")]


async def test_a_line_that_is_amended_again_is_due_with_its_reservation(store: Store) -> None:
    """An extension does not name a line that holds nothing, so the amendment has the time."""
    scribe = await stocked(store)
    await scribe.record(
        reserve({KETTLES: 1, TOASTERS: 1}, expiration=minutes(10)),
        amend({TOASTERS: 2}),
        extend(minutes(20)),
    )
    assert await due_on(store, KETTLES) == []
    await scribe.record(amend({KETTLES: 2, TOASTERS: 2}))
    assert await due_on(store, KETTLES, later(20 * MINUTE)) == ["r1"]
    assert await due_on(store, KETTLES, later(10 * MINUTE)) == []
    await scribe.record(amend({TOASTERS: 1}), extend(Never()), amend({KETTLES: 1}))
    assert await due_on(store, KETTLES) == []
    assert await due(store) == []


async def test_the_last_extension_of_a_batch_decides_when_it_is_due(store: Store) -> None:
    """It does not name a line that has ended since the extension before it."""
    scribe = await stocked(store)
    await scribe.record(reserve({KETTLES: 1, TOASTERS: 1}, expiration=minutes(10)))
    history = (extend(minutes(5)), amend({KETTLES: 1}), extend(minutes(20)))
    await store.storage.transact(appending(*history))
    assert await earliest(store) == later(20 * MINUTE)
    both = amend({KETTLES: 1, TOASTERS: 1})
    await store.storage.transact(appending(both, *history, both))
    assert await due_on(store, TOASTERS, later(20 * MINUTE)) == ["r1"]
    assert await due_on(store, TOASTERS, later(10 * MINUTE)) == []


async def test_of_several_over_at_once_all_are_named(store: Store) -> None:
    scribe = await stocked(store)
    for name in ("c", "a", "b"):
        await scribe.record(reserve(1, name, expiration=Until(later(10 * MINUTE))))
    assert sorted(await due(store)) == ["a", "b", "c"]
    assert sorted(await due_on(store, KETTLES)) == ["a", "b", "c"]


async def test_what_was_let_go_of_in_vain_is_due_as_before(store: Store) -> None:
    scribe = await stocked(store)
    await scribe.record(
        reserve({KETTLES: 1, TOASTERS: 1}, "a", expiration=minutes(10)),
        reserve(1, "b", expiration=minutes(20)),
    )

    def work(transaction: Transaction) -> None:
        appending(release(name="a"), extend(Never(), "b"), reserve(1, "c"))(transaction)
        assert transaction.due(LONG_AFTER, 10) == ["c"]
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await store.storage.transact(work)
    assert await earliest(store) == later(10 * MINUTE)
    assert await due(store) == ["a", "b"]
    assert await due_on(store, KETTLES) == ["a", "b"]
    assert await due_on(store, TOASTERS) == ["a"]
