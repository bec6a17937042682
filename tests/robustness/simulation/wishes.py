"""Random requests to a small inventory."""

from collections import deque
from typing import NamedTuple

from inventory_grpc.domain.book import Command
from inventory_grpc.domain.promises import Asked, Mode
from inventory_grpc.domain.values import Channel, Expiration, Never, Span, StockId, Ttl
from tests.robustness.simulation.chance import Chance
from tests.support.any_command import STOCKS
from tests.support.world import (
    ANA,
    BEN,
    ORDER,
    SECOND,
    VIP,
    add,
    amend,
    change_by,
    commit,
    count,
    extend,
    fence,
    policy,
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
        match chance.choices(range(8), (16, 6, 5, 5, 32, 34, 4, 4))[0]:
            case 0:
                return add(chance.randint(self._least, self._most), self._stock())
            case 1:
                units, version = chance.randint(1, 3), self._version()
                return remove(units, self._stock(), expected=version, channel=self._channel())
            case 2:
                return change_by(chance.choice((-4, -1, 1, 3)), self._stock())
            case 3:
                return count(chance.randint(0, 9), self._stock(), expected=self._version())
            case 4:
                return self._reserve(new_name)
            case 5:
                return self.on(chance.choice(self.made))
            case 6:
                return fence(chance.choice((-2, -1, 1, 2)), self._stock())
            case _:
                return self._policy()

    def on(self, name: str) -> Command:
        """Return something that one does to the reservation *name*."""
        chance = self._chance
        match chance.choices(range(4), (6, 4, 2, 2))[0]:
            case 0:
                order, again = chance.choice((None, ORDER)), chance.happens(0.3)
                return commit(self._part(), name, order=order, reacquire=again)
            case 1:
                return release(self._part(), name)
            case 2:
                return extend(self._end(), name)
            case _:
                return amend(self._cart(), name)

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
        customer = self._chance.choice((ANA, BEN))
        mode = self._chance.choice((Mode.ALL_OR_NOTHING,) * 8 + tuple(Mode))
        asked = Asked(self._channel(), self._chance.happens(0.1), mode)
        cart, end = self._cart(), self._end()
        return reserve(cart, name, customer=customer, expiration=end, asked=asked)

    def _cart(self) -> dict[StockId, int]:
        stocks = self._chance.sample(STOCKS, self._chance.randint(1, 2))
        return {stock_id: self._chance.randint(1, 3) for stock_id in stocks}

    def _policy(self) -> Command:
        chance = self._chance
        product, store = chance.choice((None, "kettle")), chance.choice((None, "lisbon"))
        values = {
            "safety_stock": chance.choice((0, 1)),
            "backorder_limit": chance.choice((0, 4, 8)),
            "low_stock_at": chance.choice((0, 2)),
        }
        named = chance.sample([*values], chance.randint(0, 3))
        return policy(product, store, expected=None, **{name: values[name] for name in named})

    def _channel(self) -> Channel | None:
        return VIP if self._chance.happens(0.2) else None

    def _stock(self) -> StockId:
        return self._chance.choice(STOCKS)

    def _part(self) -> dict[StockId, int]:
        return {self._stock(): 1} if self._chance.happens(0.3) else {}

    def _version(self) -> int | None:
        return self._chance.choice((None, None, None, 1, 2, 3))

    def _end(self) -> Expiration:
        seconds = self._chance.choice((1, 1, 2, 3, 5, 8, None))
        return Never() if seconds is None else Ttl(Span(seconds * SECOND))
