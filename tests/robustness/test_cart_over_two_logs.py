"""A cart over two logs is sold whole or not at all, whenever its coordinator is killed.

Two servers with a log each, and real calls. A coordinator is killed before and after each of its
steps; what it did is done, and its answer is lost. Another one settles what it left.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import pytest

from inventory_grpc.client import InventoryClient, Line
from inventory_grpc.server import serve
from inventory_grpc.settings import Settings
from tests.robustness.saga import Cart, Coordinator, Payment, Step, Till

LISBON, PORTO = "lisbon", "porto"
"""The logs have the names of the stores whose stocks they hold."""

MOMENTS: Final = 16
"""A sale has eight steps: two parts to reserve, extend and commit, and two with the payment."""

LONG: Final = timedelta(minutes=15)
SHORT: Final = timedelta(seconds=1)


class Killed(BaseException):
    """The coordinator is no more; nothing of it may go on."""


def killed_at(moment: int) -> Step:
    """Return steps of which one is the last: an even moment is before it, an odd one after."""
    passed = -1

    async def step(call: Callable[[], Awaitable[Any]]) -> Any:  # noqa: ANN401  of any call
        nonlocal passed
        passed += 1
        if passed == moment:
            raise Killed
        answer = await call()
        passed += 1
        if passed == moment:
            raise Killed
        return answer

    return step


NEVER: Final = -1


@dataclass
class Shop:
    logs: Mapping[str, InventoryClient]
    till: Till

    def coordinator(self, ttl: timedelta = LONG, killed: int = NEVER) -> Coordinator:
        return Coordinator(self.logs, self.till, ttl, killed_at(killed))

    async def receive(self, product: str, units: int = 5) -> None:
        for store, client in self.logs.items():
            await client.add_stock(product_id=product, store_id=store, quantity=units)

    async def left(self, product: str) -> list[tuple[int, int]]:
        """Return the units on hand and those reserved, of each log."""
        stocks = [
            (await client.get_stock(product_id=product, store_id=store)).stock
            for store, client in self.logs.items()
        ]
        return [(stock.on_hand, stock.reserved) for stock in stocks]


def cart(name: str, product: str, units: int = 3) -> Cart:
    return Cart(name, "ana", {store: [Line(product, store, units)] for store in (LISBON, PORTO)})


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[Shop]:
    async with AsyncExitStack() as stack:
        logs = {}
        for name in (LISBON, PORTO):
            settings = Settings(listen="127.0.0.1:0", database=tmp_path / f"{name}.db")
            served = await stack.enter_async_context(serve.serving(settings))
            logs[name] = await stack.enter_async_context(InventoryClient(served.address))
        yield Shop(logs, Till())


async def test_a_cart_is_sold_in_both_logs(shop: Shop) -> None:
    await shop.receive("kettle")
    await shop.coordinator(killed=MOMENTS).sell(cart("c1", "kettle"))
    assert shop.till.payments == {"c1": Payment.CAPTURED}
    assert await shop.left("kettle") == [(2, 0), (2, 0)]


async def test_a_cart_that_one_log_cannot_fill_takes_nothing_from_the_other(shop: Shop) -> None:
    await shop.receive("kettle", 2)
    await shop.logs[LISBON].add_stock(product_id="kettle", store_id=LISBON, quantity=1)
    await shop.coordinator().sell(cart("c1", "kettle"))
    assert shop.till.payments == {"c1": Payment.VOIDED}
    assert await shop.left("kettle") == [(3, 0), (2, 0)]


@pytest.mark.parametrize("is_late", [False, True], ids=["at once", "after the holds have ended"])
async def test_killed_at_any_moment_it_is_sold_whole_or_not_at_all(
    shop: Shop,
    is_late: bool,  # noqa: FBT001  a parameter
) -> None:
    names = [f"c{moment}" for moment in range(MOMENTS)]

    async def sold_until(moment: int, name: str) -> None:
        await shop.receive(name)
        with pytest.raises(Killed):
            await shop.coordinator(SHORT if is_late else LONG, moment).sell(cart(name, name))

    await asyncio.gather(*(sold_until(*each) for each in enumerate(names)))
    await asyncio.sleep(1.5 * SHORT.total_seconds() if is_late else 0)
    await settled(shop)
    ends = {name: shop.till.payments.get(name) for name in names}
    for name, end in ends.items():
        left = (2, 0) if end is Payment.CAPTURED else (5, 0)
        assert await shop.left(name) == [left, left], (name, end)
    assert Payment.AUTHORIZED not in ends.values()
    # it is sold once the payment is authorized or, if the holds end meanwhile, once none can end
    first = f"c{9 if is_late else 5}"
    assert [name for name in names if ends[name] is Payment.CAPTURED] == names[names.index(first) :]


async def test_of_two_carts_for_the_same_units_at_most_one_is_sold(shop: Shop) -> None:
    moments = [(one, other) for one in range(0, MOMENTS, 3) for other in range(0, MOMENTS, 5)]

    async def rivals(one: int, other: int) -> None:
        product = f"p{one}-{other}"
        await shop.receive(product)
        sales = [(f"{product}-a", one), (f"{product}-b", other)]
        await asyncio.gather(
            *(shop.coordinator(LONG, moment).sell(cart(name, product)) for name, moment in sales),
            return_exceptions=True,
        )

    await asyncio.gather(*(rivals(*each) for each in moments))
    await settled(shop)
    assert Payment.AUTHORIZED not in shop.till.payments.values()
    for one, other in moments:
        product = f"p{one}-{other}"
        ends = [shop.till.payments.get(f"{product}-{name}") for name in "ab"]
        sold = ends.count(Payment.CAPTURED)
        assert sold <= 1
        assert await shop.left(product) == [(5 - 3 * sold, 0)] * 2, (product, ends)


async def settled(shop: Shop) -> None:
    """Settle all carts by coordinators that are killed too, each one step later than the last."""
    moment = 0
    while True:
        try:
            await shop.coordinator(killed=moment).settle()
        except Killed:
            moment += 1
        else:
            return
