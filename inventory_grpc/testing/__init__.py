"""A real server for the tests of applications, with a clock that tests move.

    from datetime import timedelta

    from inventory_grpc import Line
    from inventory_grpc.testing import InventoryServer

    def test_an_abandoned_cart_is_available_again() -> None:
        with InventoryServer() as server, server.client() as inventory:
            inventory.add_stock(product_id="kettle", store_id="lisbon", quantity=5)
            inventory.reserve_stock(lines=[Line("kettle", "lisbon", 5)], customer_id="ana")
            server.advance(timedelta(minutes=16))
            stock = inventory.get_stock(product_id="kettle", store_id="lisbon").stock
            assert stock.available == 5

`inventory_grpc.testing.fixtures` has it as fixtures of pytest.
"""

from inventory_grpc.testing.server import InventoryServer

__all__ = ["InventoryServer"]
