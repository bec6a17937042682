"""To a caller restricted to some stores, the others do not exist."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
from google.protobuf.descriptor import Descriptor
from google.protobuf.message import Message
from grpc import StatusCode

from inventory_grpc.server import serve
from inventory_grpc.settings import Settings
from inventory_grpc_protos.v1 import commands_pb2 as commands
from inventory_grpc_protos.v1 import events_pb2 as events
from inventory_grpc_protos.v1 import queries_pb2 as queries
from inventory_grpc_protos.v1.catalogue_pb2 import STORE_KIND_STORE
from inventory_grpc_protos.v1.policies_pb2 import Policy
from tests.robustness.bad_input import missing
from tests.robustness.rpcs import BULK, OURS
from tests.support.caller import (
    Caller,
    adding,
    batch,
    calling,
    line,
    message,
    refusal_among,
    refused,
    reserving,
)
from tests.support.engines import on_each_engine
from tests.support.keyring import Keyring, Metadata, bearing
from tests.support.samples import COMMANDS, SAMPLES


def elsewhere(request: Message) -> Message:
    """Return *request* with Porto in the place of Lisbon, or beside it in lists."""
    other = type(request)()
    other.CopyFrom(request)
    for field, value in request.ListFields():
        if field.name == "store_id":
            setattr(other, field.name, "porto")
        elif field.name == "store_ids":
            getattr(other, field.name).append("porto")
        elif field.message_type and field.message_type.GetOptions().map_entry:
            continue
        elif field.is_repeated and field.message_type:
            getattr(other, field.name).extend(map(elsewhere, value))
        elif field.message_type:
            getattr(other, field.name).CopyFrom(elsewhere(value))
    return other


NAMING_PORTO: Final[dict[str, Message]] = {
    name: elsewhere(request) for name, request in SAMPLES.items() if elsewhere(request) != request
}
"""Of every rpc whose request can name a store, one that names Porto."""

ON_A_RESERVATION: Final[dict[str, Any]] = {
    rpc.name: rpc.input for rpc in OURS if missing(rpc.input.DESCRIPTOR).paths == {"reservation_id"}
}
"""Methods that need only the name of a reservation."""


@dataclass
class Shop:
    """Ana has all stores, the till in Lisbon has Lisbon."""

    caller: Caller
    ana: Metadata
    till: Metadata

    def ask(self, rpc: str, request: Any, metadata: Metadata) -> Any:  # noqa: ANN401
        caller = self.caller
        stub = next(
            stub for stub in (caller.commands, caller.queries, caller.events) if hasattr(stub, rpc)
        )
        return getattr(stub, rpc)(request, metadata=metadata, timeout=20)


@pytest.fixture
async def shop(database: str | Path, tmp_path: Path) -> AsyncIterator[Shop]:
    keyring = Keyring(tmp_path / "callers.toml")
    ana = bearing(keyring.add("ana", "admin"))
    till = bearing(keyring.add("till", "operator", stores=["lisbon", "faro"]))
    settings = Settings(listen="127.0.0.1:0", database=database, callers=keyring.path)
    async with serve.serving(settings) as served, calling(served.address) as caller:
        for store in ("lisbon", "porto"):
            await caller.commands.AddStock(adding(9, store=store), metadata=ana)
        for name, stores in {
            "lisbon-cart": ["lisbon"],
            "porto-cart": ["porto"],
            "wide-cart": ["lisbon", "porto"],
        }.items():
            await caller.commands.ReserveStock(
                reserving(*(line(1, store=store) for store in stores), name=name), metadata=ana
            )
        yield Shop(caller, ana, till)


def test_every_rpc_that_can_name_a_store_is_tried() -> None:
    assert {*NAMING_PORTO, *(rpc.name for rpc in BULK)} == {
        rpc.name for rpc in OURS if _names_stores(rpc.input.DESCRIPTOR)
    }


@pytest.mark.parametrize("rpc", NAMING_PORTO)
async def test_a_store_outside_the_scope_of_the_caller_is_denied(shop: Shop, rpc: str) -> None:
    call = shop.ask(rpc, NAMING_PORTO[rpc], shop.till)
    seen = await refused(call.read() if rpc == "Subscribe" else call)
    assert (seen.code, seen.reason) == (StatusCode.PERMISSION_DENIED, "PERMISSION_DENIED")
    assert seen.facts == {"store_id": "porto"}
    log = await shop.ask("ListEvents", events.ListEventsRequest(), shop.ana)
    assert log.head_position == 6


@on_each_engine
@pytest.mark.parametrize("rpc", [rpc.name for rpc in BULK])
async def test_among_many_commands_those_on_stores_of_others_are_denied(
    shop: Shop, rpc: str
) -> None:
    denied = [NAMING_PORTO[name] for name in COMMANDS.keys() & NAMING_PORTO.keys()]
    unseen = [
        ON_A_RESERVATION[name](reservation_id="wide-cart")
        for name in COMMANDS.keys() & ON_A_RESERVATION.keys()
    ]
    asked = *denied, adding(1), *unseen
    if rpc == "ExecuteStream":
        response = await shop.ask(rpc, iter([message(*asked)]), shop.till).read()
    else:
        response = await shop.ask(rpc, batch(*asked), shop.till)
    results = response.results
    for result in results[: len(denied)]:
        seen = refusal_among(result)
        assert (seen.code, seen.reason) == (StatusCode.PERMISSION_DENIED, "PERMISSION_DENIED")
        assert seen.facts == {"store_id": "porto"}
    assert results[len(denied)].position == 7
    for result in results[len(denied) + 1 :]:
        assert refusal_among(result).reason == "RESERVATION_NOT_FOUND"
    log = await shop.ask("ListEvents", events.ListEventsRequest(), shop.ana)
    assert log.head_position == 7


@on_each_engine
@pytest.mark.parametrize("rpc", ON_A_RESERVATION)
async def test_a_reservation_with_a_line_elsewhere_is_not_there(shop: Shop, rpc: str) -> None:
    told = []
    for name in ("porto-cart", "wide-cart", "no-such-cart"):
        seen = await refused(shop.ask(rpc, ON_A_RESERVATION[rpc](reservation_id=name), shop.till))
        told.append((seen.code, seen.reason, seen.message.replace(name, "*")))
    assert told == [told[2]] * 3
    assert told[0][:2] == (StatusCode.NOT_FOUND, "RESERVATION_NOT_FOUND")
    await shop.ask(rpc, ON_A_RESERVATION[rpc](reservation_id="lisbon-cart"), shop.till)


@on_each_engine
@pytest.mark.parametrize("rpc", sorted(COMMANDS.keys() & ON_A_RESERVATION.keys()))
async def test_a_request_id_of_ones_own_does_not_tell_whether_it_is_there(
    shop: Shop, rpc: str
) -> None:
    await shop.ask("AddStock", adding(1, request_id="delivery-1"), shop.till)
    told = []
    for name in ("porto-cart", "wide-cart", "no-such-cart"):
        request = ON_A_RESERVATION[rpc](reservation_id=name, request_id="delivery-1")
        seen = await refused(shop.ask(rpc, request, shop.till))
        told.append((seen.code, seen.reason, seen.message.replace(name, "*")))
    assert told == [told[2]] * 3
    assert told[0][:2] == (StatusCode.NOT_FOUND, "RESERVATION_NOT_FOUND")


@on_each_engine
async def test_in_an_atomic_batch_what_is_of_others_is_refused_by_its_place(shop: Shop) -> None:
    release = commands.ReleaseReservationRequest(reservation_id="wide-cart")
    told = []
    for name in ("porto-cart", "wide-cart", "no-such-cart"):
        release.reservation_id = name
        for request_id in ("", "delivery-1"):
            asked = together(adding(1), release, request_id=request_id)
            seen = await refused(shop.ask("ExecuteBatch", asked, shop.till))
            assert seen.facts == {"reservation_id": name, "command_index": "1"}
            told.append((seen.code, seen.reason, seen.message.replace(name, "*")))
        await shop.ask("AddStock", adding(1, request_id="delivery-1"), shop.till)
    assert told == [told[0]] * 6
    for denied in (adding(1, store="porto"), commands.PutProductRequest(product_id="kettle")):
        asked = together(adding(1), denied, adding(2, store="porto"))
        seen = await refused(shop.ask("ExecuteBatch", asked, shop.till))
        assert (seen.reason, seen.facts["command_index"]) == ("PERMISSION_DENIED", "1")


def together(*requests: Message, **fields: Any) -> commands.ExecuteBatchRequest:  # noqa: ANN401
    request = batch(*requests)
    request.MergeFrom(commands.ExecuteBatchRequest(atomic=True, **fields))
    return request


@on_each_engine
async def test_holds_of_a_reservation_elsewhere_are_not_ones_own(shop: Shop) -> None:
    asked = queries.CheckAvailabilityRequest(lines=[line(9)], reservation_id="wide-cart")
    seen = await refused(shop.ask("CheckAvailability", asked, shop.till))
    assert seen.reason == "RESERVATION_NOT_FOUND"


@on_each_engine
async def test_lists_and_sums_leave_the_others_out(shop: Shop) -> None:
    stocks = await shop.ask("ListStock", queries.ListStockRequest(), shop.till)
    assert [stock.store_id for stock in stocks.stocks] == ["lisbon"]
    product = await shop.ask(
        "GetProductInventory", queries.GetProductInventoryRequest(product_id="kettle"), shop.till
    )
    assert [stock.store_id for stock in product.stocks] == ["lisbon"]
    assert (product.total.on_hand, product.total.reserved) == (9, 2)
    carts = await shop.ask("ListReservations", queries.ListReservationsRequest(), shop.till)
    assert [cart.reservation_id for cart in carts.reservations] == ["lisbon-cart"]
    everything = await shop.ask("ListReservations", queries.ListReservationsRequest(), shop.ana)
    assert len(everything.reservations) == 3


@on_each_engine
async def test_promises_at_risk_are_those_in_ones_own_stores(shop: Shop) -> None:
    for store in ("lisbon", "porto"):
        lost = commands.AdjustStockRequest(
            product_id="kettle", store_id=store, delta=-9, reason="fire"
        )
        await shop.ask("AdjustStock", lost, shop.ana)
    asked = queries.ListReservationsAtRiskRequest()
    seen = {
        who: [(row.reservation_id, row.store_id) for row in answer.lines]
        for who, caller in (("till", shop.till), ("ana", shop.ana))
        for answer in [await shop.ask("ListReservationsAtRisk", asked, caller)]
    }
    own = [("wide-cart", "lisbon"), ("lisbon-cart", "lisbon")]
    assert seen == {"till": own, "ana": [*own, ("wide-cart", "porto"), ("porto-cart", "porto")]}


@on_each_engine
async def test_events_of_the_others_are_not_sent(shop: Shop) -> None:
    listed = await shop.ask("ListEvents", events.ListEventsRequest(), shop.till)
    follow = shop.ask("Subscribe", events.SubscribeRequest(stop_at_head=True), shop.till)
    followed = [event async for message in follow for event in message.events]
    assert [event.position for event in followed] == [1, 3, 5]
    assert list(listed.events) == followed
    # what was sent is what is stored, whoever asks
    full = await shop.ask("ListEvents", events.ListEventsRequest(), shop.ana)
    assert [event for event in full.events if event.store_id == "lisbon"] == followed


@on_each_engine
async def test_a_taken_name_is_taken_wherever(shop: Shop) -> None:
    seen = await refused(shop.ask("ReserveStock", reserving(line(1), name="porto-cart"), shop.till))
    assert seen.reason == "RESERVATION_EXISTS"


@on_each_engine
async def test_an_event_of_another_store_cannot_be_told_from_one_that_is_not_there(
    shop: Shop,
) -> None:
    await shop.ask("AddStock", adding(1, request_id="delivery-1"), shop.till)
    for request_id in ("", "delivery-1"):
        told = []
        for position in (2, 99):
            request = commands.ReverseEventRequest(
                reversed_position=position, reason="a typo", request_id=request_id
            )
            seen = await refused(shop.ask("ReverseEvent", request, shop.till))
            told.append((seen.code, seen.reason, seen.message.replace(str(position), "*")))
        assert told == [told[1]] * 2
        assert told[0][:2] == (StatusCode.NOT_FOUND, "SUBJECT_NOT_FOUND")
    own = commands.ReverseEventRequest(reversed_position=1, reason="a typo")
    assert (await shop.ask("ReverseEvent", own, shop.till)).stock.store_id == "lisbon"


@on_each_engine
async def test_a_part_of_an_atomic_batch_may_use_what_a_part_before_it_made(shop: Shop) -> None:
    asked = batch(
        reserving(line(1), name="new-cart"),
        commands.CommitReservationRequest(reservation_id="new-cart"),
        adding(3),
        commands.ReverseEventRequest(reversed_position=9, reason="a typo"),
    )
    asked.atomic, asked.request_id = True, "batch-1"
    first = await shop.ask("ExecuteBatch", asked, shop.till)
    assert [result.position for result in first.results] == [10] * 4
    again = await shop.ask("ExecuteBatch", asked, shop.till)
    assert [result.replayed for result in again.results] == [True] * 4


@on_each_engine
@pytest.mark.parametrize(
    ("part", "reason"),
    [
        (
            commands.CommitReservationRequest(reservation_id="wide-cart"),
            "RESERVATION_NOT_FOUND",
        ),
        (
            commands.CommitReservationRequest(reservation_id="no-such-cart"),
            "RESERVATION_NOT_FOUND",
        ),
        (commands.ReverseEventRequest(reversed_position=2, reason="a typo"), "SUBJECT_NOT_FOUND"),
        (commands.ReverseEventRequest(reversed_position=99, reason="a typo"), "SUBJECT_NOT_FOUND"),
    ],
    ids=["cart elsewhere", "no cart", "event elsewhere", "no event"],
)
async def test_a_part_of_an_atomic_batch_finds_nothing_elsewhere(
    shop: Shop, part: Message, reason: str
) -> None:
    asked = batch(adding(3), reserving(line(1), name="new-cart"), part)
    asked.atomic = True
    seen = await refused(shop.ask("ExecuteBatch", asked, shop.till))
    assert (seen.reason, seen.facts["command_index"]) == (reason, "2")
    log = await shop.ask("ListEvents", events.ListEventsRequest(), shop.ana)
    assert log.head_position == 6


@on_each_engine
async def test_what_was_not_allowed_is_not_allowed_a_second_time(shop: Shop) -> None:
    asked = commands.CommitReservationRequest(reservation_id="wide-cart", request_id="pay-1")
    for _ in range(2):
        assert (await refused(shop.ask("CommitReservation", asked, shop.till))).reason == (
            "RESERVATION_NOT_FOUND"
        )
    await shop.ask("CommitReservation", asked, shop.ana)
    assert (await refused(shop.ask("CommitReservation", asked, shop.till))).reason == (
        "RESERVATION_NOT_FOUND"
    )


async def test_the_catalogue_is_read_by_all_and_put_by_callers_with_all_stores(shop: Shop) -> None:
    kettle = commands.PutProductRequest(product_id="kettle", name="Kettle", request_id="p1")
    for asked in (shop.ask("PutProduct", kettle, shop.till), None):
        if asked is None:
            [result] = (await shop.ask("ExecuteBatch", batch(kettle), shop.till)).results
            seen = refusal_among(result)
        else:
            seen = await refused(asked)
        assert (seen.code, seen.reason) == (StatusCode.PERMISSION_DENIED, "PERMISSION_DENIED")
        assert seen.facts == {"method": "PutProduct"}
        assert seen.message == "PutProduct needs a caller with all stores"
    unknown = queries.GetProductRequest(product_id="kettle")
    assert (await refused(shop.ask("GetProduct", unknown, shop.till))).reason == "SUBJECT_NOT_FOUND"
    put = await shop.ask("PutProduct", kettle, shop.ana)
    for caller in (shop.till, shop.ana):
        found = await shop.ask("GetProduct", unknown, caller)
        assert found.product.settled
        listed = await shop.ask("ListProducts", queries.ListProductsRequest(), caller)
        assert list(listed.products) == [found.product]
        found.product.ClearField("settled")
        assert found.product == put.product


@on_each_engine
async def test_events_of_products_are_sent_to_all(shop: Shop) -> None:
    await shop.ask("PutProduct", commands.PutProductRequest(product_id="kettle"), shop.ana)
    listed = await shop.ask("ListEvents", events.ListEventsRequest(), shop.till)
    assert [event.position for event in listed.events] == [1, 3, 5, 7]
    only = events.EventFilter(subjects=["product/kettle"])
    listed = await shop.ask("ListEvents", events.ListEventsRequest(filter=only), shop.till)
    assert [event.position for event in listed.events] == [7]
    only = events.EventFilter(store_ids=["lisbon"])
    listed = await shop.ask("ListEvents", events.ListEventsRequest(filter=only), shop.till)
    assert [event.position for event in listed.events] == [1, 3, 5]


@on_each_engine
async def test_stores_are_those_of_the_caller(shop: Shop) -> None:
    put = commands.PutStoreRequest(kind=STORE_KIND_STORE)
    for store, caller in (("lisbon", shop.till), ("porto", shop.ana)):
        put.store_id = store
        await shop.ask("PutStore", put, caller)
    listed = await shop.ask("ListStores", queries.ListStoresRequest(), shop.till)
    assert [store.store_id for store in listed.stores] == ["lisbon"]
    listed = await shop.ask("ListStores", queries.ListStoresRequest(), shop.ana)
    assert [store.store_id for store in listed.stores] == ["lisbon", "porto"]
    seen = await refused(shop.ask("GetStore", queries.GetStoreRequest(store_id="faro"), shop.till))
    assert (seen.reason, seen.facts) == ("SUBJECT_NOT_FOUND", {"subject": "store/faro"})
    found = await shop.ask("ListEvents", events.ListEventsRequest(after_position=6), shop.till)
    assert [event.subject for event in found.events] == ["store/lisbon"]
    for name, positions in {"store/lisbon": [7], "store/porto": None}.items():
        only = events.ListEventsRequest(filter=events.EventFilter(subjects=[name]))
        asked = shop.ask("ListEvents", only, shop.till)
        if positions is None:
            assert (await refused(asked)).facts == {"store_id": "porto"}
        else:
            assert [event.position for event in (await asked).events] == positions


@on_each_engine
async def test_policies_are_those_that_name_no_other_store(shop: Shop) -> None:
    def setting(product: str = "", store: str = "") -> commands.SetPolicyRequest:
        policy = Policy(low_stock_at=1)
        return commands.SetPolicyRequest(product_id=product, store_id=store, policy=policy)

    for scope in ((), ("kettle",), ("", "porto"), ("kettle", "porto")):
        seen = await refused(shop.ask("SetPolicy", setting(*scope), shop.till))
        assert seen.reason == "PERMISSION_DENIED", scope
        await shop.ask("SetPolicy", setting(*scope), shop.ana)
    for scope in (("", "lisbon"), ("kettle", "lisbon")):
        await shop.ask("SetPolicy", setting(*scope), shop.till)
    own = [("", ""), ("", "lisbon"), ("kettle", ""), ("kettle", "lisbon")]
    listed = await shop.ask("ListPolicies", queries.ListPoliciesRequest(), shop.till)
    assert [(one.product_id, one.store_id) for one in listed.policies] == own
    for product, store in own:
        asked = queries.GetPolicyRequest(product_id=product, store_id=store)
        assert (await shop.ask("GetPolicy", asked, shop.till)).policy.version == 1
    asked = queries.GetPolicyRequest(store_id="porto")
    assert (await refused(shop.ask("GetPolicy", asked, shop.till))).facts == {"store_id": "porto"}
    only = events.EventFilter(event_types=["PolicyChanged"])
    found = await shop.ask("ListEvents", events.ListEventsRequest(filter=only), shop.till)
    assert [
        (one.policy_changed.product_id, one.policy_changed.store_id) for one in found.events
    ] == [*(("", ""), ("kettle", ""), ("", "lisbon"), ("kettle", "lisbon"))]
    only = events.EventFilter(subjects=["policy/kettle@porto"])
    hidden = shop.ask("ListEvents", events.ListEventsRequest(filter=only), shop.till)
    assert (await refused(hidden)).facts == {"store_id": "porto"}


def _names_stores(message: Descriptor) -> bool:
    return any(
        field.name in {"store_id", "store_ids"}
        or (field.message_type is not None and _names_stores(field.message_type))
        for field in message.fields
    )
