"""Contract of stores on products of the catalogue."""

from itertools import pairwise

import pytest

from inventory_grpc.application.queries.product import ProductQuery
from inventory_grpc.domain.product import Product, ProductKey
from inventory_grpc.domain.values import ProductId
from inventory_grpc.infrastructure.rows import bounds
from tests.support.memory.store import MemoryStore
from tests.support.scribe import Scribe
from tests.support.stores import Store
from tests.support.world import KETTLE, MINUTE, NOON, add, later, put


async def ids(store: Store, query: ProductQuery) -> list[str]:
    listing, _ = await store.views.latest.read(query)
    return [product.entry.key.id for product in listing.rows]


async def test_a_product_is_shown_as_after_its_last_event(store: Store) -> None:
    scribe = Scribe(store)
    assert (await store.views.latest.get(KETTLE)) == (None, 0)
    await scribe.record(put(attributes={"colour": "red", "Ärmel": ""}), add(5))
    scribe.clock.go_on(MINUTE)
    await scribe.record(put(sku="K-2"))
    shown = Product(KETTLE, "K-2", "Kettle", {}, 2, NOON, later(MINUTE))
    assert (await store.views.latest.get(KETTLE)) == (shown, 3)
    first = Product(KETTLE, "K-1", "Kettle", {"colour": "red", "Ärmel": ""}, 1, NOON, NOON)
    assert (await store.views.at(2).get(KETTLE)) == (first, 2)
    assert (await store.views.latest.get(ProductKey(ProductId("kettl")))).value is None


async def test_the_answer_is_given_again_as_it_was(store: Store) -> None:
    scribe = Scribe(store)
    first = await scribe.record(put(), request_id="q1")
    await scribe.record(put(sku="K-2"))
    again = await scribe.record(put(), request_id="q1")
    assert again == first._replace(replayed=True)
    as_it_was = await scribe.record(put(sku="K-2"), request_id="q2")
    await scribe.record(put(sku="K-3"))
    assert (await scribe.record(put(sku="K-2"), request_id="q2")) == as_it_was._replace(
        replayed=True
    )


async def test_products_are_listed_by_id_in_pages(store: Store) -> None:
    names = ["b", "a/1", "c", "a", "A", "kettle-10", "kettle-9"]
    await Scribe(store).record(*(put(name, sku=f"S-{len(name)}") for name in names))
    assert await ids(store, ProductQuery()) == sorted(names)
    for limit in (1, 2, 3):
        seen, after = list[str](), ""
        while True:
            listing, _ = await store.views.latest.read(ProductQuery(after=after, limit=limit))
            seen += [product.entry.key.id for product in listing.rows]
            if listing.after is None:
                break
            assert len(listing.rows) == limit
            after = listing.after
        assert seen == sorted(names)


async def test_products_are_found_by_their_present_labels(store: Store) -> None:
    scribe = Scribe(store)
    await scribe.record(
        put("a", sku="S-1"), put("b", sku="S-2"), put("c", sku="S-1"), put("d", sku="")
    )
    await scribe.record(put("a", sku="S-3"))
    both = frozenset({"S-1", "S-2"})
    assert await ids(store, ProductQuery(skus=both)) == ["b", "c"]
    assert await ids(store, ProductQuery(skus=both, limit=1)) == ["b"]
    assert await ids(store, ProductQuery(skus=both, after="b")) == ["c"]
    assert await ids(store, ProductQuery(skus=frozenset({"S-3", "S-4"}))) == ["a"]
    assert await ids(store, ProductQuery(skus=frozenset({"s-3"}))) == []


async def test_a_page_of_large_products_is_cut_short(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounds, "LISTED_BYTES", 1_000)
    large = {"text": "ü" * 200}
    names = [f"p{number}" for number in range(9)]
    await Scribe(store).record(*(put(name, attributes=large) for name in names))
    seen, after, pages = list[str](), "", 0
    while True:
        listing, _ = await store.views.latest.read(ProductQuery(after=after))
        seen += [product.entry.key.id for product in listing.rows]
        pages += 1
        if listing.after is None:
            break
        after = listing.after
    assert seen == names
    assert all(one < other for one, other in pairwise(seen))
    assert pages == (1 if isinstance(store.storage, MemoryStore) else 3)
