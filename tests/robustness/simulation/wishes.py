"""What does anybody want of a small inventory?"""

from collections.abc import Sequence

from inventory_grpc.domain.commands import Command
from inventory_grpc.domain.values import Expiration, Never, Span, StockId, Ttl
from tests.robustness.simulation.chance import Chance
from tests.support.histories import STOCKS
from tests.support.world import (
    ANA,
    BEN,
    ORDER,
    SECOND,
    add,
    change_by,
    commit,
    count,
    extend,
    release,
    remove,
    reserve,
)

NAMES = ("r1", "r2", "r3", "r4")


class Wishes:
    """Commands for a few stocks and reservations, so that they get in each other's way."""

    def __init__(self, chance: Chance, *, scarce: bool) -> None:
        self._chance = chance
        self._least, self._most = (1, 2) if scarce else (4, 12)
        self._made: list[str] = [*NAMES]

    def any_command(self, new_name: str) -> Command:
        chance = self._chance
        match chance.choices(range(8), (20, 6, 5, 5, 34, 16, 14, 6))[0]:
            case 0:
                return add(chance.randint(self._least, self._most), self._stock())
            case 1:
                return remove(chance.randint(1, 3), self._stock(), expected=self._version())
            case 2:
                return change_by(chance.choice((-4, -1, 1, 3)), self._stock())
            case 3:
                return count(chance.randint(0, 9), self._stock(), expected=self._version())
            case 4:
                return self._reserve(new_name)
            case 5:
                return commit(self._part(), self._name(), order=chance.choice((None, ORDER)))
            case 6:
                return release(self._part(), self._name())
            case _:
                return extend(self._end(), self._name())

    def _reserve(self, new_name: str) -> Command:
        name = new_name if self._chance.happens(0.8) else self._chance.choice(NAMES)
        self._made.append(name)
        stocks = self._chance.sample(STOCKS, self._chance.randint(1, 2))
        cart = {stock_id: self._chance.randint(1, 3) for stock_id in stocks}
        customer = self._chance.choice((ANA, BEN))
        return reserve(cart, name, customer=customer, expiration=self._end())

    def _stock(self) -> StockId:
        return self._chance.choice(STOCKS)

    def _name(self) -> str:
        recent: Sequence[str] = self._made[-6:]
        return self._chance.choice(recent)

    def _part(self) -> dict[StockId, int]:
        return {self._stock(): 1} if self._chance.happens(0.3) else {}

    def _version(self) -> int | None:
        return self._chance.choice((None, None, 1, 2, 3))

    def _end(self) -> Expiration:
        seconds = self._chance.choice((1, 1, 2, 3, 5, 8, None))
        return Never() if seconds is None else Ttl(Span(seconds * SECOND))
