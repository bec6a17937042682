"""Contract of stores on the sums of a product whose stocks mostly have the same policy."""

from unittest.mock import patch

from inventory_grpc.application.queries.stock import ProductInventoryById
from inventory_grpc.domain.levels import FenceUnits, ShownLevels, StateUnits
from inventory_grpc.infrastructure.rows.stocks import read_levels
from tests.support.backorder_shop import Shop
from tests.support.stores import Store
from tests.support.world import DAMAGED, VIP, add, fence, move, policy, reserve, stock

READS = "inventory_grpc.infrastructure.rows.stocks.read_levels"
STOCKS = [stock("kettle", f"s{number}") for number in range(9)]


async def sums(store: Store) -> ShownLevels:
    return (await store.views.latest.read(ProductInventoryById("kettle", limit=1))).value.total


async def test_stocks_with_the_same_policy_are_summed_together(store: Store) -> None:
    await Shop(store).do(policy(safety_stock=1, backorder_limit=5))
    for number, one in enumerate(STOCKS):
        await Shop(store).do(add(2 + number, one))
    with patch(READS, wraps=read_levels) as reads:
        assert await sums(store) == ShownLevels(
            on_hand=54, reserved=0, available=45, shortfall=0, backorderable=45, safety_stock=9
        )
    assert reads.call_count <= 1 + 2, "one for the sums, and those of the page and after it"


async def test_stocks_of_which_units_wait_are_summed_as_they_are(store: Store) -> None:
    shop = Shop(store)
    await shop.do(policy(safety_stock=1, backorder_limit=5))
    await shop.do(*(add(4, one) for one in STOCKS), *(fence(1, one) for one in STOCKS[:4]))
    await shop.do(*(move(1, one, into=DAMAGED) for one in STOCKS[2:6]))
    for number, one in enumerate(STOCKS):
        await shop.do(reserve({one: 3 + number % 3}, f"r{number}"))
    await shop.do(*(add(1, one) for one in STOCKS[3:5]))
    levels = [(await shop.levels(one)).shown for one in STOCKS]
    total = await sums(store)
    for name in ("available", "backordered", "backorderable", "ring_fenced", "safety_stock"):
        assert getattr(total, name) == sum(getattr(one, name) for one in levels), name
    assert total.backordered > 5
    assert total.fences == (FenceUnits(VIP, 4),)
    assert total.states == (StateUnits(DAMAGED, 4),)
