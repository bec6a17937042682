"""Compares the answers of the service with the model."""

from typing import cast

from google.protobuf.message import Message

from inventory_grpc.application.outcomes import Outcome
from inventory_grpc.domain.levels import Levels, ShownLevels
from inventory_grpc.domain.product import Product, ProductKey
from inventory_grpc.domain.reservation import Reservation
from inventory_grpc.domain.stock import Inventory
from inventory_grpc.domain.store import Store, StoreKey
from inventory_grpc.domain.values import EntryState, StockId
from inventory_grpc_protos.v1 import catalogue_pb2, stock_pb2
from inventory_grpc_protos.v1.catalogue_pb2 import StoreKind
from inventory_grpc_protos.v1.events_pb2 import ProductChanged, StoreChanged
from tests.support.model import Model, Promise


def shown(outcome: Outcome) -> Outcome:
    """Return *outcome* with levels as an answer shows them, from which it may have been made."""
    streams = [
        state._replace(levels=cast("Levels", state.levels.shown))
        if isinstance(state, Inventory)
        else state
        for state in outcome.streams
    ]
    return outcome._replace(streams=streams)


def assert_is_shown(stock: Inventory | None, model: Model, stock_id: StockId) -> None:
    shelf = model.shelves.get(stock_id)
    assert (stock is None) == (shelf is None)
    if stock and shelf:
        assert stock.stock_id == stock_id
        assert _message(stock.levels.shown) == shelf.shown()
        assert (stock.version, stock.update_time) == (shelf.version, shelf.update_time)


def assert_is_answered(stock: stock_pb2.Stock | None, model: Model, stock_id: StockId) -> None:
    """Compare a stock as callers receive it."""
    shelf = model.shelves.get(stock_id)
    assert (stock is None) == (shelf is None)
    if stock and shelf:
        assert (stock.product_id, stock.store_id) == stock_id
        assert stock.version == shelf.version
        assert stock.update_time.ToMicroseconds() == shelf.update_time
        levels = shelf.shown()
        for field in levels.DESCRIPTOR.fields:
            assert getattr(stock, field.name) == getattr(levels, field.name), field.name


def _message(levels: ShownLevels) -> stock_pb2.Levels:
    values = levels._asdict()
    values["states"] = [stock_pb2.StateUnits(**each._asdict()) for each in levels.states]
    values["fences"] = [stock_pb2.FenceUnits(**each._asdict()) for each in levels.fences]
    return stock_pb2.Levels(**values)


def assert_is_in_the_catalogue(
    shown: Product | Store | None, model: Model, key: ProductKey | StoreKey
) -> None:
    entry = model.catalogue.get(key.subject)
    assert (shown is None) == (entry is None)
    if shown and entry:
        assert shown.key == key
        assert entry.content == _content(shown)
        times = shown.create_time, shown.update_time
        assert (shown.version, *times) == (entry.version, entry.create_time, entry.update_time)


def _content(shown: Product | Store) -> Message:
    is_retired = shown.state is EntryState.RETIRED
    state = (
        catalogue_pb2.ENTRY_STATE_RETIRED if is_retired else catalogue_pb2.ENTRY_STATE_UNSPECIFIED
    )
    if isinstance(shown, Product):
        return ProductChanged(
            product_id=shown.key.id,
            sku=shown.sku,
            name=shown.name,
            attributes=shown.attributes,
            state=state,
        )
    return StoreChanged(
        store_id=shown.key.id,
        name=shown.name,
        kind=StoreKind.ValueType(shown.kind),
        groups=shown.groups,
        state=state,
    )


def assert_is_kept(reservation: Reservation | None, promise: Promise) -> None:
    assert reservation is not None
    assert reservation.customer_id == promise.customer_id
    assert (reservation.order_id or "") == promise.order_id
    assert reservation.state.value == promise.state
    assert reservation.expire_time == promise.expire_time
    assert (reservation.channel or "") == promise.channel
    assert list(reservation.lines) == list(promise.parts), "in the order of the cart"
    for line, part in zip(reservation.lines.values(), promise.parts.values(), strict=True):
        ended = part.committed, part.released, part.expired
        assert line[:6] == (part.quantity, *ended, part.backordered, part.fenced)
        assert line.held == part.held
