"""One sample request for each rpc: the only hand-written list of all rpcs.

Run in this order, the commands succeed on an empty database.
"""

from collections.abc import Mapping
from typing import Any, Final

from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from inventory_grpc_protos.v1 import admin_pb2, commands_pb2, events_pb2, queries_pb2
from inventory_grpc_protos.v1.catalogue_pb2 import ENTRY_STATE_ACTIVE, STORE_KIND_STORE
from inventory_grpc_protos.v1.policies_pb2 import Policy
from inventory_grpc_protos.v1.stock_pb2 import RESERVATION_STATE_ACTIVE, Line, StockKey

METHODS: Final[Mapping[str, MethodDescriptor]] = {
    method.name: method
    for file in (commands_pb2, queries_pb2, events_pb2, admin_pb2)
    for service in file.DESCRIPTOR.services_by_name.values()
    for method in service.methods
}
"""Every rpc of the contract, by name."""

KETTLES: Final[dict[str, Any]] = {"product_id": "kettle", "store_id": "lisbon"}

CART: Final = "cart-7"

_EVENTS: Final = events_pb2.EventFilter(
    event_types=["StockAdded"],
    product_ids=["kettle"],
    store_ids=["lisbon"],
    reservation_ids=[CART],
    subjects=["product/kettle"],
    alerts=[events_pb2.ALERT_BACK_IN_STOCK],
)


def _line(quantity: int) -> Line:
    return Line(**KETTLES, quantity=quantity)


_POLICY: Final = Policy(safety_stock=2, backorder_limit=5, low_stock_at=3, alert_hysteresis=1)

_COMMANDS: Final[list[Message]] = [
    commands_pb2.AddStockRequest(**KETTLES, quantity=19, state="sellable"),
    commands_pb2.MoveStockRequest(
        **KETTLES, quantity=8, from_state="sellable", to_state="returned"
    ),
    commands_pb2.FenceStockRequest(**KETTLES, channel="web", delta=2),
    commands_pb2.RemoveStockRequest(**KETTLES, quantity=1, state="sellable", channel="web"),
    commands_pb2.AdjustStockRequest(**KETTLES, delta=-1, state="returned", reason="broken"),
    commands_pb2.ReverseEventRequest(reversed_position=5, reason="mended"),
    commands_pb2.ReserveStockRequest(
        lines=[_line(4)],
        customer_id="ana",
        reservation_id=CART,
        order_id="order-1",
        ttl=Duration(seconds=60),
        channel="web",
        in_stock_only=True,
        mode=commands_pb2.RESERVE_MODE_PARTIAL_QUANTITY,
    ),
    commands_pb2.ExtendReservationRequest(reservation_id=CART, never_expires=True),
    commands_pb2.AmendReservationRequest(reservation_id=CART, lines=[_line(5)], in_stock_only=True),
    commands_pb2.CommitReservationRequest(
        reservation_id=CART,
        lines=[_line(1)],
        order_id="order-1",
        reacquire_if_available=True,
    ),
    commands_pb2.ReleaseReservationRequest(reservation_id=CART, lines=[_line(1)]),
    commands_pb2.PutProductRequest(
        product_id="kettle", sku="K-1", name="Kettle", attributes={"colour": "red"}
    ),
    commands_pb2.PutStoreRequest(
        store_id="lisbon", name="Lisbon", kind=STORE_KIND_STORE, groups=["coast"]
    ),
    commands_pb2.RetireProductRequest(product_id="kettle", restore=True),
    commands_pb2.RetireStoreRequest(store_id="lisbon", restore=True),
    commands_pb2.SetPolicyRequest(**KETTLES, policy=_POLICY),
]

_OTHERS: Final[list[Message]] = [
    commands_pb2.ExecuteBatchRequest(atomic=True),
    commands_pb2.ExecuteStreamRequest(),
    queries_pb2.GetStockRequest(**KETTLES),
    queries_pb2.BatchGetStockRequest(keys=[StockKey(**KETTLES)]),
    queries_pb2.CheckAvailabilityRequest(lines=[_line(4)], reservation_id=CART, in_stock_only=True),
    queries_pb2.GetProductInventoryRequest(product_id="kettle"),
    queries_pb2.ListStockRequest(
        product_ids=["kettle"],
        store_ids=["lisbon"],
        max_available=1_000_000_000,
        low_stock=True,
        short=True,
        backordered=True,
    ),
    queries_pb2.GetReservationRequest(reservation_id=CART),
    queries_pb2.ListReservationsRequest(
        **KETTLES,
        customer_id="ana",
        order_id="order-1",
        states=[RESERVATION_STATE_ACTIVE],
        backordered=True,
    ),
    queries_pb2.ListReservationsAtRiskRequest(
        product_ids=["kettle"], store_ids=["lisbon"], customer_id="ana"
    ),
    queries_pb2.GetProductRequest(product_id="kettle"),
    queries_pb2.ListProductsRequest(skus=["K-1"], states=[ENTRY_STATE_ACTIVE]),
    queries_pb2.GetStoreRequest(store_id="lisbon"),
    queries_pb2.GetPolicyRequest(**KETTLES),
    queries_pb2.ListPoliciesRequest(**KETTLES),
    queries_pb2.ListStoresRequest(
        groups=["coast"], kinds=[STORE_KIND_STORE], states=[ENTRY_STATE_ACTIVE]
    ),
    events_pb2.SubscribeRequest(
        after_position=0,
        filter=_EVENTS,
        max_batch=64,
        heartbeat=Duration(seconds=10),
        stop_at_head=True,
    ),
    events_pb2.ListEventsRequest(
        filter=_EVENTS, after_position=1, before_position=9, newest_first=True
    ),
    admin_pb2.GetServerInfoRequest(),
]


def _named(request: Message) -> str:
    return request.DESCRIPTOR.name.removesuffix("Request")


SAMPLES: Final[Mapping[str, Message]] = {
    _named(request): request for request in (*_COMMANDS, *_OTHERS)
}
"""By the name of the rpc, with each field set that is its own."""

COMMANDS: Final[Mapping[str, Message]] = {_named(request): request for request in _COMMANDS}
"""Samples of the commands that bulk rpcs accept."""

QUERIES: Final[Mapping[str, Message]] = {
    name: request
    for name, request in SAMPLES.items()
    if METHODS[name].containing_service.name == "InventoryQueries"
}

INSTEAD: Final[Mapping[str, str]] = {
    "AdjustStockRequest.expected_on_hand": "expected_version",
    "AdjustStockRequest.unconditional": "expected_version",
    "CheckAvailabilityRequest.channel": "reservation_id",
}
"""Fields that stand in place of another one, and exclude it."""

SHARED: Final[Mapping[str, Any]] = {
    "request_id": "request-1",
    "reason": "count",
    "reference": "ticket-1",
    "occur_time": Timestamp(seconds=1_772_366_400),
    "dry_run": True,
    "expected_version": 0,
    "log_id": "log-1",
    "min_position": 7,
    "page_size": 9,
    "page_token": "next",
}
"""Fields that many requests have, and a value of each; samples need not have them."""
