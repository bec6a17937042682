"""Contract of stores of the log on stores of the catalogue."""

from dataclasses import replace

import pytest

from inventory_grpc.application.access import Scope
from inventory_grpc.application.queries.store import StoreQuery
from inventory_grpc.domain.store import Store as Shop
from inventory_grpc.domain.store import StoreKey, StoreKind
from inventory_grpc.domain.values import StoreId
from inventory_grpc.infrastructure.rows import bounds
from tests.support.scribe import Scribe
from tests.support.stores import Store
from tests.support.world import LISBON, MINUTE, NOON, add, later, put, put_store

COAST, NORTH = frozenset({"coast"}), frozenset({"north"})


@pytest.fixture
async def four(store: Store) -> None:
    await Scribe(store).record(
        put_store("lisbon", groups=["coast", "south"]),
        put_store("porto", groups=["coast", "north"], kind=StoreKind.WAREHOUSE),
        put_store("braga", groups=["north"]),
        put_store("web", kind=StoreKind.VIRTUAL),
    )


async def pages(store: Store, query: StoreQuery) -> list[list[str]]:
    found, after = list[list[str]](), query.after
    while True:
        turned = replace(query, after=after)
        listing, _ = await store.views.latest.read(turned)
        found.append([shop.entry.key.id for shop in listing.rows])
        if listing.after is None:
            return found
        assert listing.after > after
        after = listing.after


async def test_a_store_is_shown_as_after_its_last_event(store: Store) -> None:
    scribe = Scribe(store)
    assert (await store.views.latest.get(LISBON)) == (None, 0)
    await scribe.record(put_store(groups=["coast"]), add(5), put("lisbon"))
    scribe.clock.go_on(MINUTE)
    await scribe.record(put_store(name="L", kind=StoreKind.VIRTUAL))
    shown = Shop(LISBON, "L", StoreKind.VIRTUAL, (), 2, NOON, later(MINUTE))
    assert (await store.views.latest.get(LISBON)) == (shown, 4)
    first = Shop(LISBON, "Lisbon", StoreKind.STORE, ("coast",), 1, NOON, NOON)
    assert (await store.views.at(3).get(LISBON)) == (first, 3)
    assert (await store.views.latest.get(StoreKey(StoreId("lisbo")))).value is None


async def test_the_answer_is_given_again_as_it_was(store: Store) -> None:
    scribe = Scribe(store)
    first = await scribe.record(put_store(groups=["coast"]), request_id="q1")
    as_it_was = await scribe.record(put_store(groups=["coast"]), request_id="q2")
    assert (as_it_was.position, as_it_was.streams) == (1, first.streams)
    await scribe.record(put_store())
    for name, answer in (("q1", first), ("q2", as_it_was)):
        again = await scribe.record(put_store(groups=["coast"]), request_id=name)
        assert again == answer._replace(replayed=True)


@pytest.mark.usefixtures("four")
async def test_stores_are_listed_by_id_group_and_kind(store: Store) -> None:
    assert await pages(store, StoreQuery()) == [["braga", "lisbon", "porto", "web"]]
    assert await pages(store, StoreQuery(limit=3)) == [["braga", "lisbon", "porto"], ["web"]]
    assert await pages(store, StoreQuery(COAST)) == [["lisbon", "porto"]]
    assert await pages(store, StoreQuery(COAST | NORTH, limit=2)) == [
        ["braga", "lisbon"],
        ["porto"],
    ]
    assert await pages(store, StoreQuery(frozenset({"coas"}))) == [[]]
    both = frozenset({StoreKind.WAREHOUSE, StoreKind.VIRTUAL})
    assert await pages(store, StoreQuery(kinds=both)) == [["porto", "web"]]
    assert await pages(store, StoreQuery(NORTH, both)) == [["porto"]]


@pytest.mark.usefixtures("four")
async def test_only_stores_in_scope_are_listed(store: Store) -> None:
    scope = Scope(frozenset({StoreId("porto"), StoreId("web"), StoreId("faro")}))
    assert await pages(store, StoreQuery(scope=scope)) == [["porto", "web"]]
    assert await pages(store, StoreQuery(COAST, scope=scope)) == [["porto"]]
    assert await pages(store, StoreQuery(scope=scope, limit=1)) == [["porto"], ["web"]]


@pytest.mark.usefixtures("four")
async def test_a_page_that_scans_its_most_says_where_to_go_on(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounds, "STORES_SCANNED", 2)
    found = await pages(store, StoreQuery(kinds=frozenset({StoreKind.VIRTUAL})))
    assert [name for page in found for name in page] == ["web"]
    assert await pages(store, StoreQuery(limit=1)) == [["braga"], ["lisbon"], ["porto"], ["web"]]


@pytest.mark.usefixtures("four")
async def test_a_page_of_long_stores_is_cut_short(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounds, "LISTED_BYTES", 1)
    found = await pages(store, StoreQuery())
    assert [name for page in found for name in page] == ["braga", "lisbon", "porto", "web"]
