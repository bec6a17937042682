"""Compares the answers of the service with the model."""

from inventory_grpc.domain.product import Product, ProductKey
from inventory_grpc.domain.reservation import Reservation
from inventory_grpc.domain.stock import Inventory
from inventory_grpc.domain.values import StockId
from inventory_grpc_protos.v1.events_pb2 import ProductChanged
from tests.support.model import Model, Promise


def assert_is_shown(stock: Inventory | None, model: Model, stock_id: StockId) -> None:
    shelf = model.shelves.get(stock_id)
    assert (stock is None) == (shelf is None)
    if stock and shelf:
        assert stock.stock_id == stock_id
        assert stock.levels == (shelf.on_hand, shelf.reserved)
        assert (stock.version, stock.update_time) == (shelf.version, shelf.update_time)


def assert_is_in_the_catalogue(product: Product | None, model: Model, key: ProductKey) -> None:
    entry = model.catalogue.get(key.subject)
    assert (product is None) == (entry is None)
    if product and entry:
        assert product.key == key
        assert entry.content == ProductChanged(
            product_id=key.id, sku=product.sku, name=product.name, attributes=product.attributes
        )
        times = product.create_time, product.update_time
        assert (product.version, *times) == (entry.version, entry.create_time, entry.update_time)


def assert_is_kept(reservation: Reservation | None, promise: Promise) -> None:
    assert reservation is not None
    assert reservation.customer_id == promise.customer_id
    assert (reservation.order_id or "") == promise.order_id
    assert reservation.state.value == promise.state
    assert reservation.expire_time == promise.expire_time
    assert list(reservation.lines) == list(promise.parts), "in the order of the cart"
    for line, part in zip(reservation.lines.values(), promise.parts.values(), strict=True):
        assert line == (part.quantity, part.committed, part.released, part.expired)
        assert line.held == part.held
