"""The lists that an export reads, and the rows that it makes of them."""

from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

from inventory_grpc.cli.files.options import Rows
from inventory_grpc.client import SyncInventoryClient
from inventory_grpc_protos.v1.catalogue_pb2 import EntryState, Product, Store, StoreKind
from inventory_grpc_protos.v1.events_pb2 import Event, ProductChanged, StoreChanged
from inventory_grpc_protos.v1.stock_pb2 import Levels, Stock

MAX_QUANTITY: Final = 10**9
"""The most units of one command. A stock with more has more rows."""


class Row(NamedTuple):
    key: str
    """That of its place among the rows."""
    cells: Sequence[Sequence[Any]]
    """Those of each line that it has in a file."""


class Source(NamedTuple):
    columns: Sequence[str]
    page: Callable[..., Any]
    """The method of the client that lists the rows."""
    rows: str
    """The field of a page that has them."""
    of_row: Callable[[Any], Row]
    event_types: Sequence[str]
    """Those of the events that change rows; empty for all."""
    of_event: Callable[[Event], Row | None]
    """Returns the row as it is after an event; None if the event changes none."""


def _stock(product_id: str, store_id: str, version: int, levels: Stock | Levels) -> Row:
    """Return a stock, with a line for the units in each state; sellable ones have none."""
    units = {one.state: one.units for one in levels.states}
    sellable = levels.on_hand - sum(units.values())
    parts = {"": sellable, **units} if sellable or not units else units
    said = levels.on_hand, levels.reserved, levels.available, version
    lines = [
        (product_id, store_id, quantity, state, *said)
        for state, all_units in parts.items()
        for quantity in _parted(all_units)
    ]
    return Row(f"{product_id} {store_id}", lines)


def _parted(units: int) -> Sequence[int]:
    """Return the quantities of the commands that add *units*."""
    whole, rest = divmod(units, MAX_QUANTITY)
    return [*[MAX_QUANTITY] * whole, rest] if rest or not whole else [MAX_QUANTITY] * whole


def _stock_of_event(event: Event) -> Row | None:
    if not event.HasField("after"):
        return None
    return _stock(event.product_id, event.store_id, event.version, event.after)


STOCK: Final = Source(
    (
        "product_id",
        "store_id",
        "quantity",
        "state",
        "on_hand",
        "reserved",
        "available",
        "version",
    ),
    SyncInventoryClient.list_stock,
    "stocks",
    lambda one: _stock(one.product_id, one.store_id, one.version, one),
    (),
    _stock_of_event,
)


def _product(version: int, one: Product | ProductChanged) -> Row:
    content = one.product_id, one.sku, one.name, dict(one.attributes), _state(one.state)
    return Row(one.product_id, [(*content, version)])


def _store(version: int, one: Store | StoreChanged) -> Row:
    kind = StoreKind.Name(one.kind).removeprefix("STORE_KIND_")
    content = one.store_id, kind, one.name, list(one.groups), _state(one.state)
    return Row(one.store_id, [(*content, version)])


def _state(number: EntryState.ValueType) -> str:
    """Return the state of an entry; an event has none for an active one."""
    return "RETIRED" if number == EntryState.ENTRY_STATE_RETIRED else "ACTIVE"


PRODUCTS: Final = Source(
    ("product_id", "sku", "name", "attributes", "state", "version"),
    SyncInventoryClient.list_products,
    "products",
    lambda one: _product(one.version, one),
    ("ProductChanged",),
    lambda event: _product(event.version, event.product_changed),
)

STORES: Final = Source(
    ("store_id", "kind", "name", "groups", "state", "version"),
    SyncInventoryClient.list_stores,
    "stores",
    lambda one: _store(one.version, one),
    ("StoreChanged",),
    lambda event: _store(event.version, event.store_changed),
)

SOURCES: Final = {Rows.STOCK: STOCK, Rows.PRODUCTS: PRODUCTS, Rows.STORES: STORES}
