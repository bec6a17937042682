"""The catalogue from outside: a product or store has a history, a version and a place in pages."""

from typing import Final

from grpc import StatusCode

from inventory_grpc_protos.v1.catalogue_pb2 import STORE_KIND_WAREHOUSE, Product, Store
from inventory_grpc_protos.v1.commands_pb2 import PutProductRequest, PutStoreRequest
from inventory_grpc_protos.v1.events_pb2 import EventFilter, ListEventsRequest, StoreChanged
from inventory_grpc_protos.v1.queries_pb2 import (
    GetProductRequest,
    GetStoreRequest,
    ListProductsRequest,
    ListStockRequest,
    ListStoresRequest,
)
from inventory_grpc_protos.v1.stock_pb2 import Stock
from tests.support.caller import Caller, adding, batch, refusal_among, refused
from tests.support.engines import on_each_engine

pytestmark = on_each_engine

KETTLE: Final = PutProductRequest(
    product_id="kettle", sku="K-1", name="Kettle", attributes={"colour": "red", "weight": "900 g"}
)
LARGE: Final = {f"{number:064}": "x" * 512 for number in range(50)}


def kettle(**changed: str | int) -> PutProductRequest:
    request = PutProductRequest()
    request.CopyFrom(KETTLE)
    request.MergeFrom(PutProductRequest(**changed))  # type: ignore[arg-type]
    return request


async def test_a_product_is_put_changed_and_left_as_it_is(caller: Caller) -> None:
    put = await caller.commands.PutProduct(KETTLE)
    assert (put.position, put.product.version, put.replayed) == (1, 1, False)
    assert dict(put.product.attributes) == {"colour": "red", "weight": "900 g"}
    assert put.product.create_time == put.product.update_time
    same = await caller.commands.PutProduct(KETTLE)
    assert (same.position, same.product) == (1, put.product)
    changed = await caller.commands.PutProduct(kettle(name="Red kettle", request_id="q1"))
    assert (changed.position, changed.product.version) == (2, 2)
    assert changed.product.create_time == put.product.create_time
    await caller.commands.PutProduct(KETTLE)
    again = await caller.commands.PutProduct(kettle(name="Red kettle", request_id="q1"))
    assert again.replayed
    assert (again.position, again.product) == (2, changed.product)
    found = await caller.queries.GetProduct(GetProductRequest(product_id="kettle", min_position=3))
    assert (found.as_of_position, found.product.name, found.product.version) == (3, "Kettle", 3)


async def test_two_editors_do_not_overwrite_each_other(caller: Caller) -> None:
    seen = await refused(caller.commands.PutProduct(kettle(expected_version=1)))
    assert seen.facts == {"subject": "product/kettle", "expected_version": "1", "version": "0"}
    put = await caller.commands.PutProduct(kettle(expected_version=0))
    for request in (kettle(expected_version=0), kettle(name="Ben was here", expected_version=2)):
        seen = await refused(caller.commands.PutProduct(request))
        assert (seen.code, seen.reason) == (StatusCode.ABORTED, "VERSION_CONFLICT")
        assert seen.details == {Product: put.product}
    same = await caller.commands.PutProduct(kettle(expected_version=1))
    assert same.product == put.product


async def test_a_product_too_large_for_the_details_is_read(caller: Caller) -> None:
    put = await caller.commands.PutProduct(PutProductRequest(product_id="a", attributes=LARGE))
    seen = await refused(
        caller.commands.PutProduct(PutProductRequest(product_id="a", expected_version=7))
    )
    assert (seen.facts["version"], seen.details) == ("1", {})
    found = await caller.queries.GetProduct(GetProductRequest(product_id="a"))
    found.product.ClearField("settled")
    assert found.product == put.product


async def test_among_many_commands_it_answers_with_its_version(caller: Caller) -> None:
    request = batch(KETTLE, adding(5), kettle(name="K"), kettle(expected_version=9))
    results = (await caller.commands.ExecuteBatch(request)).results
    assert [(result.position, result.version) for result in results[:3]] == [(1, 1), (2, 1), (3, 2)]
    seen = refusal_among(results[3])
    assert seen.reason == "VERSION_CONFLICT"
    assert seen.details[Product].version == 2


async def test_it_is_put_together_with_stock_or_not_at_all(caller: Caller) -> None:
    lisbon = PutStoreRequest(store_id="lisbon", kind=STORE_KIND_WAREHOUSE)
    request = batch(lisbon, KETTLE, kettle(name="K"), adding(5), kettle(expected_version=1))
    request.atomic = True
    seen = await refused(caller.commands.ExecuteBatch(request))
    assert (seen.reason, seen.facts["command_index"]) == ("VERSION_CONFLICT", "4")
    assert seen.facts["subject"] == "product/kettle"
    assert await caller.log() == []
    del request.commands[-1]
    results = (await caller.commands.ExecuteBatch(request)).results
    assert [(result.position, result.version) for result in results] == [
        *((4, 1), (4, 1), (4, 2), (4, 1))
    ]
    assert [event.subject for event in await caller.log()] == [
        *("store/lisbon", "product/kettle", "product/kettle", "")
    ]


async def test_a_product_that_was_never_put_is_not_found_even_if_there_is_stock(
    caller: Caller,
) -> None:
    await caller.commands.AddStock(adding(5))
    seen = await refused(caller.queries.GetProduct(GetProductRequest(product_id="kettle")))
    assert (seen.code, seen.reason) == (StatusCode.NOT_FOUND, "SUBJECT_NOT_FOUND")
    assert seen.facts == {"subject": "product/kettle"}


async def test_a_product_is_not_among_the_stocks(caller: Caller) -> None:
    await caller.commands.PutProduct(KETTLE)
    await caller.commands.AddStock(adding(5))
    listed = await caller.queries.ListStock(ListStockRequest())
    assert [stock.on_hand for stock in listed.stocks] == [5]
    seen = await refused(caller.commands.AddStock(adding(5, expected_version=9)))
    assert seen.details[Stock].version == 1


async def test_products_are_listed_in_pages_of_at_most_a_mebibyte(caller: Caller) -> None:
    names = [f"p{number:02}" for number in range(60)]
    puts = [PutProductRequest(product_id=name, sku="S", attributes=LARGE) for name in names]
    for first in range(0, 60, 20):
        await caller.commands.ExecuteBatch(batch(*puts[first : first + 20]))
    seen, token, pages = list[str](), "", 0
    while token or not pages:
        page = await caller.queries.ListProducts(
            ListProductsRequest(skus=["S", "T"], page_size=1_000, page_token=token)
        )
        assert page.ByteSize() <= 1024 * 1024
        seen += [product.product_id for product in page.products]
        token, pages = page.next_page_token, pages + 1
    assert (seen, pages) == (names, 3)


async def test_limits_of_what_a_product_has(caller: Caller) -> None:
    bad = {
        "sku": PutProductRequest(product_id="a", sku="x" * 513),
        "name": PutProductRequest(product_id="a", name="ü" * 257),
        "product_id": PutProductRequest(name="Kettle"),
    }
    for field, request in bad.items():
        seen = await refused(caller.commands.PutProduct(request))
        assert seen.reason == "INVALID_VALUE"
        assert f"{field}: " in seen.message
    attributes: list[tuple[dict[str, str], str]] = [
        ({"": "red"}, "each key must be 1 to 64 bytes of UTF-8"),
        ({"ü" * 33: "red"}, "each key must be 1 to 64 bytes of UTF-8"),
        ({"ok": "", "colour": "x" * 513}, "the value of 'colour' must be at most 512 bytes"),
        ({str(number): "" for number in range(51)}, "has 51; must be at most 50 entries"),
    ]
    for given, problem in attributes:
        request = PutProductRequest(product_id="a", attributes=given)
        seen = await refused(caller.commands.PutProduct(request))
        assert f"attributes: {problem}" in seen.message
    assert await caller.log() == []
    most = PutProductRequest(product_id="a", sku="x" * 512, name="ü" * 256, attributes=LARGE)
    assert (await caller.commands.PutProduct(most)).position == 1


async def test_its_events_are_found_by_its_subject(caller: Caller) -> None:
    await caller.commands.AddStock(adding(5))
    await caller.commands.PutProduct(KETTLE)
    await caller.commands.PutProduct(PutProductRequest(product_id="toaster"))

    async def found(only: EventFilter) -> list[int]:
        request = ListEventsRequest(filter=only)
        return [event.position for event in (await caller.events.ListEvents(request)).events]

    assert await found(EventFilter(subjects=["product/kettle"])) == [2]
    assert await found(
        EventFilter(subjects=["product/kettle", "product/toaster", "product/x"])
    ) == [2, 3]
    assert await found(EventFilter(event_types=["ProductChanged"])) == [2, 3]
    assert await found(EventFilter(product_ids=["kettle"])) == [1]
    assert await found(EventFilter(subjects=["product/kettle"], product_ids=["kettle"])) == []
    _, event, _ = await caller.log()
    assert (event.subject, event.version) == ("product/kettle", 1)
    assert event.product_changed.name == "Kettle"
    assert dict(event.product_changed.attributes) == dict(KETTLE.attributes)
    for wrong in ("kettle", "stock/kettle", "product/", "reservation/r1"):
        request = ListEventsRequest(filter=EventFilter(subjects=[wrong]))
        seen = await refused(caller.events.ListEvents(request))
        assert seen.reason == "INVALID_VALUE"
        assert "filter.subjects[0]: " in seen.message


async def test_a_store_is_put_changed_and_left_as_it_is(caller: Caller) -> None:
    request = PutStoreRequest(
        store_id="lisbon", name="Lisbon", kind=STORE_KIND_WAREHOUSE, groups=["north", "coast"]
    )
    put = await caller.commands.PutStore(request)
    assert (put.position, put.store.version) == (1, 1)
    assert (put.store.kind, [*put.store.groups]) == (STORE_KIND_WAREHOUSE, ["coast", "north"])
    for groups in (["coast", "north"], ["north", "coast", "coast"]):
        request.groups[:] = groups
        same = await caller.commands.PutStore(request)
        assert (same.position, same.store) == (1, put.store)
    request.groups[:] = ["coast"]
    request.expected_version = 1
    changed = await caller.commands.PutStore(request)
    assert (changed.position, changed.store.version) == (2, 2)
    seen = await refused(caller.commands.PutStore(request))
    assert seen.facts == {"subject": "store/lisbon", "expected_version": "1", "version": "2"}
    assert seen.details == {Store: changed.store}
    found = await caller.queries.GetStore(GetStoreRequest(store_id="lisbon"))
    changed.store.settled = True
    assert (found.as_of_position, found.store) == (2, changed.store)
    by_group = ListStoresRequest(groups=["coast"], kinds=[STORE_KIND_WAREHOUSE])
    assert [*(await caller.queries.ListStores(by_group)).stores] == [changed.store]
    assert not (await caller.queries.ListStores(ListStoresRequest(groups=["north"]))).stores
    event = (await caller.log())[1]
    assert (event.subject, event.version) == ("store/lisbon", 2)
    assert event.store_changed == StoreChanged(
        store_id="lisbon", name="Lisbon", kind=STORE_KIND_WAREHOUSE, groups=["coast"]
    )


async def test_a_store_that_was_never_put_is_not_found(caller: Caller) -> None:
    await caller.commands.AddStock(adding(5))
    seen = await refused(caller.queries.GetStore(GetStoreRequest(store_id="lisbon")))
    assert (seen.code, seen.reason) == (StatusCode.NOT_FOUND, "SUBJECT_NOT_FOUND")
    assert seen.facts == {"subject": "store/lisbon"}


async def test_limits_of_what_a_store_has(caller: Caller) -> None:
    groups = [f"group-{number}" for number in range(21)]
    bad = {
        "kind: is missing": PutStoreRequest(store_id="a"),
        "kind: must be a kind of store": PutStoreRequest(store_id="a", kind=9),  # type: ignore[arg-type]
        "groups: has 21; must be at most 20": PutStoreRequest(
            store_id="a", kind=STORE_KIND_WAREHOUSE, groups=groups
        ),
        "groups[1]: has ' '": PutStoreRequest(
            store_id="a", kind=STORE_KIND_WAREHOUSE, groups=["ok", "the coast"]
        ),
        "name: must be at most 512": PutStoreRequest(
            store_id="a", kind=STORE_KIND_WAREHOUSE, name="x" * 513
        ),
    }
    for problem, request in bad.items():
        seen = await refused(caller.commands.PutStore(request))
        assert seen.reason == "INVALID_VALUE"
        assert problem in seen.message
    assert await caller.log() == []
    most = PutStoreRequest(
        store_id="a", kind=STORE_KIND_WAREHOUSE, name="x" * 512, groups=groups[:20]
    )
    assert (await caller.commands.PutStore(most)).position == 1
