"""Every rpc has a method, whose arguments arrive unchanged."""

import re
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from inventory_grpc.client import InventoryClient, Key, Line
from inventory_grpc_protos.v1 import commands_pb2, queries_pb2
from inventory_grpc_protos.v1.admin_pb2 import GetServerInfoRequest
from inventory_grpc_protos.v1.catalogue_pb2 import StoreKind
from inventory_grpc_protos.v1.commands_pb2 import ReserveMode
from inventory_grpc_protos.v1.events_pb2 import Alert
from inventory_grpc_protos.v1.stock_pb2 import Line as LineMessage
from inventory_grpc_protos.v1.stock_pb2 import StockKey
from tests.support.samples import INSTEAD, METHODS, SAMPLES, SHARED
from tests.unit.client.scripted import ScriptedServer

NOON: Final = datetime(2026, 3, 1, 12, tzinfo=UTC)
MINUTE: Final = timedelta(minutes=1)
KETTLE: Final = Line("kettle", "lisbon", 2)
KETTLE_MESSAGE: Final = LineMessage(product_id="kettle", store_id="lisbon", quantity=2)
STOCK: Final[dict[str, Any]] = {"product_id": "kettle", "store_id": "lisbon"}
ADDING: Final = commands_pb2.AddStockRequest(**STOCK, quantity=5)

BULK: Final = {"ExecuteBatch", "ExecuteStream"}
"""Methods that take whole requests have tests of their own."""


def chosen(request: Message) -> Iterator[Message]:
    """Yield *request*, and one for each thing that may be chosen in it, or may be 0."""
    yield request
    for field in request.DESCRIPTOR.fields:
        replaced = INSTEAD.get(f"{request.DESCRIPTOR.name}.{field.name}")
        if not field.containing_oneof and replaced is None:
            continue
        other = type(request)()
        other.CopyFrom(request)
        if replaced is not None:
            other.ClearField(replaced)
        if field.message_type:
            getattr(other, field.name).seconds = 60
        else:
            values = {field.TYPE_BOOL: True, field.TYPE_STRING: "web"}
            setattr(other, field.name, values.get(field.type, 0))
        yield other


def filled(request: Message) -> Message:
    """Return *request* with the fields that many have."""
    other = type(request)()
    for field in other.DESCRIPTOR.fields:
        if (value := SHARED.get(field.name)) is None:
            continue
        if field.message_type:
            getattr(other, field.name).CopyFrom(value)
        else:
            setattr(other, field.name, value)
    other.MergeFrom(request)
    return other


def keywords(request: Message) -> dict[str, Any]:
    """Return what a caller gives for *request*; a filter or policy stands beside the others."""
    given: dict[str, Any] = {}
    for field, value in request.ListFields():
        if field.name in {"filter", "policy"}:
            given |= keywords(value)
        elif field.name == "attributes":
            given["attributes"] = dict(value)
        elif field.name == "mode":
            given["mode"] = ReserveMode.Name(value).split("_", 2)[2]
        elif field.name == "kind":
            given["kind"] = StoreKind.Name(value).split("_", 2)[2]
        elif field.name == "kinds":
            given["kinds"] = [StoreKind.Name(one).split("_", 2)[2] for one in value]
        elif field.name == "alerts":
            given["alerts"] = [Alert.Name(one).removeprefix("ALERT_") for one in value]
        elif field.name == "states":
            assert field.enum_type
            named = field.enum_type.values_by_number
            given["states"] = [named[one].name.split("_", 2)[2] for one in value]
        elif field.is_repeated:
            given[field.name] = [_given(one) for one in value]
        else:
            given[field.name] = _given(value)
    return given


def _given(value: Any) -> Any:  # noqa: ANN401  of any field
    match value:
        case LineMessage():
            return Line(value.product_id, value.store_id, value.quantity)
        case StockKey():
            return Key(value.product_id, value.store_id)
        case Timestamp():
            return value.ToDatetime(UTC)
        case Duration():
            return value.ToTimedelta()
    return value


CALLS: Final = [
    (name, one)
    for name, request in SAMPLES.items()
    if name not in BULK
    for one in chosen(filled(request))
]


@pytest.mark.parametrize(("rpc", "meant"), CALLS, ids=[name for name, _ in CALLS])
async def test_a_call_arrives_as_it_was_meant(
    client: InventoryClient, server: ScriptedServer, rpc: str, meant: Message
) -> None:
    call = getattr(client, re.sub(r"(?<!^)(?=[A-Z])", "_", rpc).lower())(**keywords(meant))
    await (anext(call, None) if METHODS[rpc].server_streaming else call)
    assert server.requests() == [meant]


async def test_what_excludes_each_other_is_not_sent(client: InventoryClient) -> None:
    with pytest.raises(ValueError, match="ttl and never_expires exclude each other"):
        await client.reserve_stock(
            lines=[KETTLE], customer_id="ana", ttl=MINUTE, never_expires=True
        )
    with pytest.raises(ValueError, match="delta and on_hand"):
        await client.adjust_stock(**STOCK, delta=1, on_hand=0)
    with pytest.raises(ValueError, match="expected_on_hand and unconditional"):
        await client.adjust_stock(**STOCK, on_hand=1, expected_on_hand=0, unconditional=True)
    with pytest.raises(ValueError, match="as_of_position and as_of_time"):
        await client.get_stock(**STOCK, as_of_position=0, as_of_time=NOON)
    with pytest.raises(ValueError, match="after_position and from_now"):
        client.subscribe(after_position=0, from_now=True)


async def test_a_time_without_a_zone_names_no_moment(client: InventoryClient) -> None:
    with pytest.raises(ValueError, match="needs a time zone"):
        await client.get_stock(**STOCK, as_of_time=NOON.replace(tzinfo=None))


async def test_a_beginning_and_a_heartbeat_are_checked_before_anything_is_sent(
    client: InventoryClient,
) -> None:
    for heartbeat in (timedelta(0), -MINUTE):
        with pytest.raises(ValueError, match="heartbeat must be above 0"):
            client.subscribe(heartbeat=heartbeat)


@pytest.mark.parametrize(
    ("call", "problem"),
    [
        (
            lambda client: client.get_stock(**STOCK, as_of_time=NOON.date()),
            "as_of_time must be",
        ),
        (
            lambda client: client.add_stock(**STOCK, quantity=1, occur_time="now"),
            "occur_time must",
        ),
        (
            lambda client: client.extend_reservation(reservation_id="cart-7", ttl=60),
            "ttl must be a timedelta, not 60",
        ),
        (lambda client: anext(client.subscribe(heartbeat=10)), "heartbeat must be a timedelta"),
        (lambda client: client.list_reservations(customer_id=None), "customer_id must be a string"),
        (
            lambda client: client.get_stock(product_id=7, store_id="l"),
            "product_id must be a string",
        ),
        (
            lambda client: client.add_stock(**STOCK, quantity=4.0),
            r"quantity must be an integer, not 4\.0",
        ),
        (lambda client: client.check_availability(lines=[("a", "b", "2")]), "quantity must be an"),
        (
            lambda client: client.batch_get_stock(keys=[("a", 7)]),
            "store_id must be a string, not 7",
        ),
        (lambda client: client.list_stock(page_size="9"), "page_size must be an integer, not '9'"),
        (lambda client: anext(client.subscribe(stop_at_head="no")), "stop_at_head must be True or"),
        (lambda client: anext(client.subscribe(from_now="no")), "from_now must be True or False"),
        (
            lambda client: client.reserve_stock(lines=[], customer_id="ana", never_expires="no"),
            "never_expires must be True or False, not 'no'",
        ),
        (lambda client: client.list_stock(store_ids=["lisbon", None]), "each of store_ids must be"),
        (
            lambda client: client.put_product(product_id="a", attributes=["colour"]),
            "attributes must be a mapping of strings",
        ),
        (
            lambda client: client.put_product(product_id="a", attributes={"weight": 9}),
            "each of attributes must be a string, not 9",
        ),
        (
            lambda client: client.put_product(product_id="a", attributes={9: "weight"}),
            "each name of attributes must be a string, not 9",
        ),
        (lambda client: client.batch_get_stock(keys=["ab"]), r"\(product_id, store_id\), not 'ab'"),
        (lambda client: client.batch_get_stock(keys=[STOCK]), "each of keys must be"),
        (lambda client: client.batch_get_stock(keys=[{"kettle", "lisbon"}]), "each of keys must"),
        (lambda client: client.check_availability(lines=[("a", "b")]), "each of lines must be"),
        (lambda client: client.check_availability(lines=[KETTLE_MESSAGE]), "each of lines must be"),
        (lambda client: client.check_availability(lines=KETTLE_MESSAGE), "lines must be a list"),
        (lambda client: client.execute_batch(ADDING), "requests must be a list of requests"),
        (lambda client: client.execute_batch([None]), "such as AddStockRequest, not None"),
        (lambda client: client.execute_batch([GetServerInfoRequest()]), "such as AddStockRequest"),
        (lambda client: anext(client.execute_stream([ADDING])), "requests must be a list"),
    ],
)
async def test_a_value_of_the_wrong_type_is_named_and_nothing_is_sent(
    client: InventoryClient,
    server: ScriptedServer,
    call: Callable[[Any], Awaitable[object]],
    problem: str,
) -> None:
    with pytest.raises(TypeError, match=problem):
        await call(client)
    assert not server.asked


async def test_a_number_out_of_range_and_a_string_that_is_none_are_named(
    client: InventoryClient, server: ScriptedServer
) -> None:
    with pytest.raises(ValueError, match=f"quantity cannot be {2**63}: "):
        await client.add_stock(**STOCK, quantity=2**63)
    with pytest.raises(ValueError, match=r"reason cannot be .*surrogate"):
        await client.add_stock(**STOCK, quantity=1, reason="\ud800")
    assert not server.asked


async def test_a_state_that_does_not_exist_is_named(client: InventoryClient) -> None:
    for state in ("active", "UNSPECIFIED"):
        with pytest.raises(ValueError, match=f"'{state}' is not a state: ACTIVE, COMMITTED"):
            await client.list_reservations(states=[state])  # type: ignore[list-item]


async def test_a_kind_that_does_not_exist_is_named(client: InventoryClient) -> None:
    for kind in ("store", "UNSPECIFIED"):
        with pytest.raises(ValueError, match=f"'{kind}' is not a kind: STORE, WAREHOUSE, VIRTUAL"):
            await client.put_store(store_id="lisbon", kind=kind)  # type: ignore[arg-type]
        with pytest.raises(ValueError, match=f"'{kind}' is not a kind"):
            await client.list_stores(kinds=[kind])  # type: ignore[list-item]


async def test_a_mode_that_does_not_exist_is_named(client: InventoryClient) -> None:
    for mode in ("partial_lines", "RESERVE_MODE_PARTIAL_LINES", "UNSPECIFIED"):
        with pytest.raises(ValueError, match=f"'{mode}' is not a mode: ALL_OR_NOTHING, PARTIAL_"):
            await client.reserve_stock(lines=[KETTLE], customer_id="ana", mode=mode)  # type: ignore[arg-type]


async def test_rows_may_be_tuples_lists_or_named_ones(
    client: InventoryClient, server: ScriptedServer
) -> None:
    rows: Any = (KETTLE, tuple(KETTLE), list(KETTLE))
    await client.check_availability(lines=iter(rows))
    assert server.requests() == [queries_pb2.CheckAvailabilityRequest(lines=[KETTLE_MESSAGE] * 3)]
