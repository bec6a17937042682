"""With `catalogue=required`, only stocks of known products and stores get a history."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from grpc import StatusCode

from inventory_grpc.choices import Catalogue
from inventory_grpc.server import serve
from inventory_grpc.settings import Settings
from inventory_grpc_protos.v1.catalogue_pb2 import STORE_KIND_STORE
from inventory_grpc_protos.v1.commands_pb2 import (
    PutProductRequest,
    PutStoreRequest,
    RemoveStockRequest,
    SetPolicyRequest,
)
from inventory_grpc_protos.v1.policies_pb2 import Policy
from inventory_grpc_protos.v1.queries_pb2 import CheckAvailabilityRequest
from tests.support.caller import (
    Caller,
    adding,
    batch,
    calling,
    line,
    refusal_among,
    refused,
    reserving,
)
from tests.support.engines import on_each_engine

pytestmark = on_each_engine

KETTLE = PutProductRequest(product_id="kettle")
LISBON = PutStoreRequest(store_id="lisbon", kind=STORE_KIND_STORE)


@pytest.fixture
async def strict(database: str | Path) -> AsyncIterator[Caller]:
    settings = Settings(listen="127.0.0.1:0", database=database, catalogue=Catalogue.REQUIRED)
    async with serve.serving(settings) as served, calling(served.address) as caller:
        yield caller


async def test_a_stock_begins_when_its_product_and_store_are_known(strict: Caller) -> None:
    seen = await refused(strict.commands.AddStock(adding(5)))
    assert (seen.code, seen.reason) == (StatusCode.FAILED_PRECONDITION, "NOT_IN_CATALOGUE")
    assert seen.facts == {"product_id": "kettle"}
    await strict.commands.PutProduct(KETTLE)
    seen = await refused(strict.commands.AddStock(adding(5)))
    assert seen.facts == {"store_id": "lisbon"}
    await strict.commands.PutStore(LISBON)
    assert (await strict.commands.AddStock(adding(5))).stock.version == 1
    assert (await strict.commands.AddStock(adding(5))).position == 4


async def test_every_command_on_a_stock_that_would_begin_is_refused(strict: Caller) -> None:
    remove = RemoveStockRequest(product_id="kettle", store_id="lisbon", quantity=1)
    cart = reserving(line(1), name="cart-1")
    for call in (
        strict.commands.RemoveStock(remove),
        strict.commands.ReserveStock(cart),
        strict.commands.AddStock(adding(5, expected_version=0)),
        strict.commands.AddStock(adding(5, dry_run=True)),
    ):
        assert (await refused(call)).reason == "NOT_IN_CATALOGUE"
    mixed = batch(adding(1), KETTLE, LISBON, adding(2))
    results = (await strict.commands.ExecuteBatch(mixed)).results
    assert refusal_among(results[0]).reason == "NOT_IN_CATALOGUE"
    assert [result.version for result in results[1:]] == [1, 1, 1]
    assert len(await strict.log()) == 3


async def test_nothing_is_to_be_had_of_an_unknown_stock(strict: Caller) -> None:
    await strict.commands.SetPolicy(SetPolicyRequest(policy=Policy(backorder_limit=9)))
    asked = CheckAvailabilityRequest(lines=[line(2)])
    answer = await strict.queries.CheckAvailability(asked)
    assert not answer.available
    told = [(one.available, one.backorderable, one.shortfall) for one in answer.lines]
    assert told == [(0, 0, 2)]


async def test_an_atomic_batch_may_put_what_its_stock_needs(strict: Caller) -> None:
    late = batch(adding(5), KETTLE, LISBON)
    late.atomic = True
    seen = await refused(strict.commands.ExecuteBatch(late))
    assert (seen.reason, seen.facts["command_index"]) == ("NOT_IN_CATALOGUE", "0")
    assert await strict.log() == []
    request = batch(KETTLE, LISBON, adding(5), reserving(line(5), name="cart-1"))
    request.atomic = True
    results = (await strict.commands.ExecuteBatch(request)).results
    assert [result.position for result in results] == [4] * 4


async def test_a_stock_with_a_history_is_served_after_the_setting_was_changed(
    database: str | Path,
) -> None:
    for catalogue, reason in (
        (Catalogue.OPEN, ""),
        (Catalogue.REQUIRED, "NOT_IN_CATALOGUE"),
        (Catalogue.OPEN, ""),
    ):
        settings = Settings(listen="127.0.0.1:0", database=database, catalogue=catalogue)
        async with serve.serving(settings) as served, calling(served.address) as caller:
            assert (await caller.commands.AddStock(adding(5))).stock.on_hand
            added = caller.commands.AddStock(adding(1, product=f"{catalogue.value}-toaster"))
            assert (await refused(added)).reason == reason if reason else await added
