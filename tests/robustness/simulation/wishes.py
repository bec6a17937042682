"""Random requests to a small inventory."""

from collections import deque
from typing import NamedTuple

from inventory_grpc.domain.book import Command
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

SHARED = ("r1", "r2")
"""Reservations that several want to make."""

MAX_WAIT = 5.0
"""The longest wait for the end of a hold."""


class Race(NamedTuple):
    """A reservation, and a delay after which a command on it coincides with its expiry."""

    name: str
    seconds: float


class Wishes:
    """Commands for a few stocks and reservations, so that callers get in each other's way."""

    def __init__(self, chance: Chance, *, scarce: bool) -> None:
        self._chance = chance
        self._least, self._most = (1, 3) if scarce else (6, 20)
        self._empty = [*STOCKS]
        self.made: deque[str] = deque(maxlen=5)
        """Reservations that were asked for lately."""
        self.holds: dict[str, float] = {}
        """The expiry of each of them, by the loop's time."""

    def any_command(self, new_name: str) -> Command:
        chance = self._chance
        if self._empty:
            return add(chance.randint(self._least, self._most), self._empty.pop())
        if not self.made:
            return self._reserve(new_name)
        match chance.choices(range(6), (16, 6, 5, 5, 34, 34))[0]:
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
            case _:
                return self.on(chance.choice(self.made))

    def on(self, name: str) -> Command:
        """Return something that one does to the reservation *name*."""
        chance = self._chance
        match chance.choices(range(3), (3, 2, 1))[0]:
            case 0:
                return commit(self._part(), name, order=chance.choice((None, ORDER)))
            case 1:
                return release(self._part(), name)
            case _:
                return extend(self._end(), name)

    def race(self, now: float) -> Race | None:
        """Now and then, pick a hold that is over soon, and how long to wait for that."""
        ahead = {name: end - now for name, end in self.holds.items() if 0 < end - now < MAX_WAIT}
        if not ahead or not self._chance.happens(0.25):
            return None
        name = self._chance.choice([*ahead])
        return Race(name, max(0.0, ahead[name] + self._chance.uniform(-0.005, 0.005)))

    def _reserve(self, new_name: str) -> Command:
        name = new_name if self._chance.happens(0.8) else self._chance.choice(SHARED)
        self.made.append(name)
        stocks = self._chance.sample(STOCKS, self._chance.randint(1, 2))
        cart = {stock_id: self._chance.randint(1, 3) for stock_id in stocks}
        customer = self._chance.choice((ANA, BEN))
        return reserve(cart, name, customer=customer, expiration=self._end())

    def _stock(self) -> StockId:
        return self._chance.choice(STOCKS)

    def _part(self) -> dict[StockId, int]:
        return {self._stock(): 1} if self._chance.happens(0.3) else {}

    def _version(self) -> int | None:
        return self._chance.choice((None, None, None, 1, 2, 3))

    def _end(self) -> Expiration:
        seconds = self._chance.choice((1, 1, 2, 3, 5, 8, None))
        return Never() if seconds is None else Ttl(Span(seconds * SECOND))
