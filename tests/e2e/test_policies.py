"""Policies and retiring from outside: commands follow them at once, stocks show them in time."""

from typing import Any, Final

import pytest
from grpc import StatusCode

from inventory_grpc_protos.v1.catalogue_pb2 import (
    ENTRY_STATE_ACTIVE,
    ENTRY_STATE_RETIRED,
    STORE_KIND_STORE,
)
from inventory_grpc_protos.v1.commands_pb2 import (
    AdjustStockRequest,
    CommitReservationRequest,
    PutProductRequest,
    PutStoreRequest,
    RemoveStockRequest,
    RetireProductRequest,
    RetireStoreRequest,
    SetPolicyRequest,
)
from inventory_grpc_protos.v1.errors_pb2 import ShortLines
from inventory_grpc_protos.v1.events_pb2 import Alert
from inventory_grpc_protos.v1.policies_pb2 import Policy, ScopedPolicy
from inventory_grpc_protos.v1.queries_pb2 import (
    CheckAvailabilityRequest,
    GetPolicyRequest,
    GetProductRequest,
    GetStockRequest,
    ListPoliciesRequest,
    ListProductsRequest,
    ListStoresRequest,
)
from inventory_grpc_protos.v1.stock_pb2 import Stock
from tests.support.caller import Caller, adding, batch, line, refusal_among, refused, reserving
from tests.support.engines import on_each_engine

pytestmark = on_each_engine

KETTLES: Final[dict[str, Any]] = {"product_id": "kettle", "store_id": "lisbon"}


def setting(product: str = "", store: str = "", **values: int) -> SetPolicyRequest:
    return SetPolicyRequest(product_id=product, store_id=store, policy=Policy(**values))


async def stock(caller: Caller) -> Stock:
    return (await caller.queries.GetStock(GetStockRequest(**KETTLES))).stock


async def settled(caller: Caller, product: str = "", store: str = "") -> ScopedPolicy:
    """Wait until all stocks of a scope show its policy; return it."""
    request = GetPolicyRequest(product_id=product, store_id=store)
    for _ in range(1_000):
        policy = (await caller.queries.GetPolicy(request)).policy
        if policy.settled:
            return policy
    raise AssertionError(f"{policy} does not settle")


async def alerts(caller: Caller) -> list[list[str]]:
    """Return the alerts of each event of the kettles in Lisbon."""
    log = await caller.log()
    return [
        [Alert.Name(one).removeprefix("ALERT_") for one in event.alerts]
        for event in log
        if event.product_id == "kettle"
    ]


async def test_a_retired_product_takes_nothing_in_and_what_is_there_leaves(
    caller: Caller,
) -> None:
    """Worked example 15."""
    await caller.commands.PutProduct(PutProductRequest(product_id="kettle"))
    await caller.commands.AddStock(adding(5))
    await caller.commands.ReserveStock(reserving(line(2), name="r1"))
    retired = await caller.commands.RetireProduct(RetireProductRequest(product_id="kettle"))
    assert (retired.product.state, retired.product.version) == (ENTRY_STATE_RETIRED, 2)
    assert not retired.product.HasField("settled")
    for _ in range(1_000):
        found = await caller.queries.GetProduct(GetProductRequest(product_id="kettle"))
        if found.product.settled:
            break
    shown = await stock(caller)
    assert (shown.on_hand, shown.reserved, shown.available, shown.retired) == (5, 2, 0, True)
    assert (await alerts(caller))[-1] == ["OUT_OF_STOCK"]
    for call in (
        caller.commands.AddStock(adding(1)),
        caller.commands.ReserveStock(reserving(line(1))),
    ):
        seen = await refused(call)
        assert (seen.code, seen.reason) == (StatusCode.FAILED_PRECONDITION, "RETIRED")
        assert seen.facts["product_id"] == "kettle"
    await caller.commands.CommitReservation(CommitReservationRequest(reservation_id="r1"))
    await caller.commands.RemoveStock(RemoveStockRequest(**KETTLES, quantity=3))
    assert (await stock(caller)).on_hand == 0
    same = await caller.commands.RetireProduct(RetireProductRequest(product_id="kettle"))
    assert same.product.version == 2
    await caller.commands.RetireProduct(
        RetireProductRequest(product_id="kettle", restore=True, expected_version=2)
    )
    await caller.commands.AddStock(adding(1))


async def test_commands_are_decided_on_a_policy_right_after_it(caller: Caller) -> None:
    """Worked example 16; the server takes these commands together."""
    for units in (1, 1, 1, 2):
        await caller.commands.AddStock(adding(units))
    request = batch(
        setting(store="lisbon", safety_stock=2),
        reserving(line(4), name="r1"),
        reserving(line(3), name="r2"),
    )
    results = (await caller.commands.ExecuteBatch(request)).results
    [short] = refusal_among(results[1]).details[ShortLines].lines
    assert (short.asked, short.available) == (4, 3)
    events = [event for event in await caller.log() if event.product_id]
    assert [(event.version, event.WhichOneof("fact")) for event in events[-2:]] == [
        (5, "stock_terms_changed"),
        (6, "stock_reserved"),
    ]
    assert events[-1].after.available == 0
    assert results[2].position == events[-1].position


async def test_the_version_before_the_terms_is_the_one_expected(caller: Caller) -> None:
    """Worked example 16, its other end."""
    for units in (1, 1, 1, 2):
        await caller.commands.AddStock(adding(units))
    request = batch(setting(store="lisbon", safety_stock=2), adding(1, expected_version=4))
    results = (await caller.commands.ExecuteBatch(request)).results
    assert (results[1].version, (await stock(caller)).available) == (6, 4)


async def test_a_stock_without_history_begins_with_its_terms(caller: Caller) -> None:
    """Worked example 17."""
    await caller.commands.SetPolicy(setting(safety_stock=1))
    await refused(caller.commands.ReserveStock(reserving(line(1))))
    assert [event.product_id for event in await caller.log()] == [""]
    added = await caller.commands.AddStock(adding(5, expected_version=0))
    assert (added.stock.version, added.stock.available, added.stock.safety_stock) == (2, 4, 1)
    assert await alerts(caller) == [[], ["BACK_IN_STOCK"]]


async def test_a_stock_is_told_low_and_recovered_once(caller: Caller) -> None:
    """Worked example 18."""
    await caller.commands.AddStock(adding(5))
    await caller.commands.SetPolicy(setting("kettle", low_stock_at=3, alert_hysteresis=2))
    await settled(caller, "kettle")
    for units in (3, 5, 6, 2, 0, 2, 3):
        await caller.commands.AdjustStock(
            AdjustStockRequest(**KETTLES, on_hand=units, unconditional=True, reason="count")
        )
    assert (await alerts(caller))[2:] == [
        ["STOCK_LOW"],
        [],
        ["STOCK_RECOVERED"],
        ["STOCK_LOW"],
        ["OUT_OF_STOCK"],
        [],
        ["BACK_IN_STOCK"],
    ]


async def test_each_value_comes_from_the_first_scope_that_sets_it(caller: Caller) -> None:
    await caller.commands.AddStock(adding(9))
    await caller.commands.SetPolicy(setting(safety_stock=1, backorder_limit=9, low_stock_at=4))
    await caller.commands.SetPolicy(setting("kettle", safety_stock=2, low_stock_at=6))
    await caller.commands.SetPolicy(setting(store="lisbon", backorder_limit=0))
    await caller.commands.SetPolicy(setting("kettle", "lisbon", low_stock_at=0))
    found = await caller.queries.GetPolicy(GetPolicyRequest(**KETTLES))
    assert found.effective == Policy(safety_stock=2, backorder_limit=0, low_stock_at=0)
    assert found.policy.policy == Policy(low_stock_at=0)
    listed = await caller.queries.ListPolicies(ListPoliciesRequest())
    assert [(one.product_id, one.store_id) for one in listed.policies] == [
        ("", ""),
        ("", "lisbon"),
        ("kettle", ""),
        ("kettle", "lisbon"),
    ]
    first = await caller.queries.ListPolicies(ListPoliciesRequest(product_id="kettle", page_size=1))
    rest = ListPoliciesRequest(product_id="kettle", page_token=first.next_page_token)
    assert [one.store_id for one in (await caller.queries.ListPolicies(rest)).policies] == [
        "lisbon"
    ]
    for product, store in (("", ""), ("kettle", ""), ("", "lisbon"), ("kettle", "lisbon")):
        await settled(caller, product, store)
    shown = await stock(caller)
    assert (shown.available, shown.safety_stock, shown.backorderable) == (7, 2, 0)


async def test_a_policy_is_changed_by_version_and_cleared(caller: Caller) -> None:
    made = await caller.commands.SetPolicy(setting(safety_stock=1))
    assert (made.position, made.policy.version) == (1, 1)
    same = await caller.commands.SetPolicy(setting(safety_stock=1))
    assert same.policy == made.policy
    late = setting(safety_stock=2)
    late.expected_version = 0
    seen = await refused(caller.commands.SetPolicy(late))
    assert (seen.code, seen.facts["subject"]) == (StatusCode.ABORTED, "policy/@")
    assert seen.details == {ScopedPolicy: made.policy}
    cleared = await caller.commands.SetPolicy(setting())
    assert (cleared.policy.version, cleared.policy.policy) == (2, Policy())
    assert not (await caller.queries.ListPolicies(ListPoliciesRequest())).policies
    never = (await caller.queries.GetPolicy(GetPolicyRequest(store_id="porto"))).policy
    assert (never.version, never.settled, never.HasField("update_time")) == (0, True, False)


@pytest.mark.parametrize(
    ("policy", "field"),
    [
        ({"safety_stock": 1_000_000_001}, "policy.safety_stock"),
        ({"safety_stock": -1}, "policy.safety_stock"),
        ({"backorder_limit": 10**15 + 1}, "policy.backorder_limit"),
        ({"low_stock_at": -1}, "policy.low_stock_at"),
        ({"alert_hysteresis": 10**15 + 1}, "policy.alert_hysteresis"),
        (None, "policy"),
    ],
)
async def test_a_policy_out_of_bounds_is_refused(
    caller: Caller, policy: dict[str, int] | None, field: str
) -> None:
    request = SetPolicyRequest(policy=None if policy is None else Policy(**policy))
    seen = await refused(caller.commands.SetPolicy(request))
    [details] = seen.details.values()
    assert [violation.field for violation in details.field_violations] == [field]


async def test_terms_do_not_change_beside_commands_on_stocks_of_one_batch(
    caller: Caller,
) -> None:
    await caller.commands.PutProduct(PutProductRequest(product_id="kettle"))
    for other in (setting(safety_stock=1), RetireProductRequest(product_id="kettle")):
        request = batch(adding(5), other)
        request.atomic = True
        seen = await refused(caller.commands.ExecuteBatch(request))
        [details] = seen.details.values()
        [violation] = details.field_violations
        assert violation.field.startswith("commands[1].")
    request = batch(setting(safety_stock=1), RetireProductRequest(product_id="kettle"))
    request.atomic = True
    results = (await caller.commands.ExecuteBatch(request)).results
    assert [(result.position, result.version) for result in results] == [(3, 1), (3, 2)]


async def test_products_and_stores_are_listed_by_state(caller: Caller) -> None:
    for name in ("cup", "kettle", "pan"):
        await caller.commands.PutProduct(PutProductRequest(product_id=name, sku="S"))
        await caller.commands.PutStore(PutStoreRequest(store_id=name, kind=STORE_KIND_STORE))
    await caller.commands.RetireProduct(RetireProductRequest(product_id="kettle"))
    await caller.commands.RetireStore(RetireStoreRequest(store_id="kettle"))
    for state, names in (
        (ENTRY_STATE_RETIRED, ["kettle"]),
        (ENTRY_STATE_ACTIVE, ["cup", "pan"]),
    ):
        for skus in ([], ["S"]):
            listed = await caller.queries.ListProducts(
                ListProductsRequest(states=[state], skus=skus)
            )
            assert [one.product_id for one in listed.products] == names
        stores = await caller.queries.ListStores(ListStoresRequest(states=[state]))
        assert [one.store_id for one in stores.stores] == names


async def test_what_can_be_had_of_a_stock_without_history_follows_its_policy(
    caller: Caller,
) -> None:
    """It is what a reserve then gets, and no more."""
    asked = CheckAvailabilityRequest(lines=[line(6), line(2, product="toaster")])
    await caller.commands.SetPolicy(setting(product="kettle", backorder_limit=5))
    answer = await caller.queries.CheckAvailability(asked)
    assert not answer.available
    told = [(one.available, one.backorderable, one.shortfall) for one in answer.lines]
    assert told == [(0, 5, 1), (0, 0, 2)]
    in_stock = CheckAvailabilityRequest(lines=[line(5)], in_stock_only=True)
    assert (await caller.queries.CheckAvailability(in_stock)).lines[0].backorderable == 0
    assert (await refused(caller.commands.ReserveStock(reserving(line(6))))).reason == (
        "INSUFFICIENT_STOCK"
    )
    await caller.commands.ReserveStock(reserving(line(5)))
    retired = RetireStoreRequest(store_id="porto")
    await caller.commands.PutStore(PutStoreRequest(store_id="porto", kind=STORE_KIND_STORE))
    await caller.commands.RetireStore(retired)
    there = CheckAvailabilityRequest(lines=[line(1, store="porto")])
    assert (await caller.queries.CheckAvailability(there)).lines[0].backorderable == 0
