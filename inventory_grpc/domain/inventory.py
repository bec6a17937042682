"""The aggregate of a stock: what one store has of one product."""

from dataclasses import dataclass
from typing import NamedTuple, Self

from inventory_grpc.domain.events import (
    Event,
    Fact,
    Levels,
)
from inventory_grpc.domain.values import Instant, StockId


class Stock(NamedTuple):
    """A stock as it was right after its last event; version 0 has no history."""

    stock_id: StockId
    levels: Levels
    version: int
    update_time: Instant | None


def stock_after(event: Event) -> Stock:
    """Return the stock right after *event*, which says so itself."""
    return Stock(event.stock_id, event.after, event.version, event.record_time)


class EventOutOfOrder(Exception):
    """An event was missed, or applied twice: a bug, never a caller's doing."""


@dataclass(slots=True)
class Inventory:
    """What one store has of one product, and how much of it is promised."""

    stock_id: StockId
    on_hand: int = 0
    reserved: int = 0
    version: int = 0
    update_time: Instant | None = None

    @classmethod
    def of(cls, stock: Stock) -> Self:
        """Return what goes on from *stock*."""
        return cls(stock.stock_id, *stock.levels, stock.version, stock.update_time)

    @property
    def levels(self) -> Levels:
        return Levels(self.on_hand, self.reserved)

    @property
    def available(self) -> int:
        return max(0, self.on_hand - self.reserved)

    @property
    def stock(self) -> Stock:
        """What it is now, for keeps."""
        return Stock(self.stock_id, self.levels, self.version, self.update_time)

    def evolve(self, fact: Fact, version: int, record_time: Instant) -> None:
        """Become what it is once *fact* has happened. Facts are never refused."""
        if version != self.version + 1:
            raise EventOutOfOrder(f"{self.stock_id}: {version} after {self.version}")
        on_hand, reserved = fact.moves
        self.on_hand += on_hand
        self.reserved += reserved
        self.version = version
        self.update_time = record_time
