"""The cache of stocks for queries, kept up to date by events."""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from inventory_grpc.application.ledger.head import Head
from inventory_grpc.application.ports import Reading
from inventory_grpc.domain.event import Event
from inventory_grpc.domain.stock import Inventory
from inventory_grpc.domain.values import StockId

TTL_SECONDS: Final = 30.0
"""Events keep entries current; this bounds the effect of a bug in that."""


class _Entry(NamedTuple):
    stock: Inventory | None
    as_of: int
    fresh_until: float


class TtlStockCache:
    """An LRU cache of stocks with a time to live.

    An entry was read at `as_of`, and every later event has been applied to it, so it is also
    valid at the published head. An event carries the levels after it, which replace the entry.
    """

    def __init__(self, head: Head, limit: int, clock: Callable[[], float]) -> None:
        self._head = head
        self._limit = limit
        self._clock = clock
        self._entries: OrderedDict[StockId, _Entry] = OrderedDict()
        self.hits = self.misses = 0

    def count(self) -> int:
        return len(self._entries)

    def get(self, stock_id: StockId) -> Reading[Inventory | None] | None:
        entry = self._entries.get(stock_id)
        if entry is None:
            self.misses += 1
            return None
        if entry.fresh_until < self._clock():
            self.misses += 1
            del self._entries[stock_id]
            return None
        self.hits += 1
        self._entries.move_to_end(stock_id)
        as_of, published = entry.as_of, self._head.position
        return Reading(entry.stock, published if published > as_of else as_of)  # noqa: FURB136  half the time, at every query

    def put(self, stock_id: StockId, reading: Reading[Inventory | None]) -> None:
        if reading.as_of < self._head.position:
            return  # an event of the stock may have been published during the read
        entry = _Entry(reading.value, reading.as_of, self._clock() + TTL_SECONDS)
        self._entries[stock_id] = entry
        self._entries.move_to_end(stock_id)
        if len(self._entries) > self._limit:
            self._entries.popitem(last=False)

    def recorded(self, events: Sequence[Event]) -> None:
        for event in events:
            entry = self._entries.get(event.key)
            if entry is not None and entry.as_of < event.position:
                moved = _Entry(Inventory.at(event), event.position, entry.fresh_until)
                self._entries[event.key] = moved

    def skipped(self, upto: int) -> None:  # noqa: ARG002  all entries may be outdated
        """Clear the cache."""
        self._entries.clear()
