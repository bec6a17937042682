"""The cache of encoded stocks, by the bytes of the request that asks for them."""

from collections import deque
from collections.abc import Callable, Sequence
from struct import Struct
from typing import Final

from inventory_grpc.application.ledger.head import Head
from inventory_grpc.domain.event import Event, Key
from inventory_grpc.domain.stock import Inventory
from inventory_grpc.domain.values import StockId
from inventory_grpc.presentation.to_proto import fill_stock
from inventory_grpc_protos.v1.queries_pb2 import GetStockRequest, GetStockResponse

TTL_SECONDS: Final = 600.0
"""Events keep the cache right; this bounds the effect of a bug in that. It is long enough for a
million stocks to be read once."""

MAX_NAME: Final = 128

MAX_RENEWED: Final = 8_192
"""Stocks whose last event is kept until they are asked for; about 1 kB each."""

_SHARDS: Final = 64
"""Parts of the cache, a power of two. A single `dict` of a million entries was measured to stop
the event loop for 0.2 s when it grows."""

_NOTHING: Final = b""
"""Keeps the room of an entry that was dropped."""

_READ: Final = Struct("<qd")
"""The head of an entry: the position at which the stock was read, and the end of its time."""


class Fill:
    """Reads of a stock that are under way, and have begun with no event of it between them."""

    __slots__ = ("begun",)

    def __init__(self, begun: int) -> None:
        self.begun = begun
        """The published head when the first of them began."""


class StockAnswers:
    """A cache of encoded stocks with a time to live, for answers to `GetStock`.

    An entry was read at its position, and the next event of its stock takes its place. So it is
    also valid at the published head. The position of an answer is the last field of the message,
    so an answer is the entry with its position appended.

    An event has the levels after it, but they are encoded only when the stock is asked for: many
    stocks change more often than they are read. Of the events of other processes only the stocks
    are known, whose entries are dropped.

    A stock has one entry, under the canonical encoding of the request that names it and nothing
    else. An entry under any other spelling would be found by no event.

    A read may take its time, and an event of its stock is published meanwhile: such a read is not
    kept, but the event is. What else was published has not changed the stock, so the answer is
    valid there too.

    An entry is two byte strings: a million take 250 MB, and as objects they took 800 MB.
    """

    def __init__(self, head: Head, limit: int, clock: Callable[[], float]) -> None:
        self._head = head
        self._limit = limit
        self._clock = clock
        self._shards: list[dict[bytes, bytes]] = [{} for _ in range(_SHARDS)]
        # in the order in which they were put; an `OrderedDict` would take 48 bytes more an entry
        self._put: deque[bytes] = deque()
        self._fills: dict[bytes, Fill] = {}
        self._renewed: dict[bytes, tuple[Event, float]] = {}
        """The last events of stocks, and the end of their time, by the request for the stock."""
        self._position = 0, b""
        self.hits = self.misses = 0
        """The answers that were found, and those that were not, which the caller counts."""

    def count(self) -> int:
        return sum(map(len, self._shards))

    def _shard(self, request: bytes) -> dict[bytes, bytes]:
        return self._shards[hash(request) & (_SHARDS - 1)]

    def find(self, request: bytes, at_least: int) -> bytes | None:
        """Return the answer to *request*, if it is cached, and as new as a position."""
        entry = self._shard(request).get(request) or self._renew(request)
        if entry is not None:
            as_of, fresh_until = _READ.unpack_from(entry)
            as_of = max(as_of, self._head.position)
            if as_of >= at_least and fresh_until >= self._clock():
                self.hits += 1
                return entry[_READ.size :] + self._encoded(as_of)
        return None

    def _renew(self, request: bytes) -> bytes | None:
        """Make the entry of a stock as its last event left it, if that event is kept."""
        if (last := self._renewed.pop(request, None)) is None:
            return None
        event, fresh_until = last
        response = GetStockResponse()
        fill_stock(response.stock, Inventory.at(event))
        return self._put_entry(request, event.position, fresh_until, response.SerializeToString())

    def _encoded(self, position: int) -> bytes:
        """Return the field with *position*, which is mostly that of the last answer."""
        last, encoded = self._position
        if position != last:
            encoded = GetStockResponse(as_of_position=position).SerializeToString()
            self._position = position, encoded
        return encoded

    def begin(self, request: bytes) -> Fill:
        """Note that the stock of the canonical *request* is being read, until `end`."""
        fill = self._fills.get(request)
        if fill is None:
            fill = self._fills[request] = Fill(self._head.position)
        return fill

    def end(self, request: bytes, fill: Fill) -> None:
        """Forget a read; others of the stock that are under way are not kept."""
        if self._fills.get(request) is fill:
            del self._fills[request]

    def keep(self, request: bytes, response: GetStockResponse, answer: bytes, fill: Fill) -> None:
        """Keep the *answer*, which is the encoded *response*, under the canonical *request*."""
        as_of = response.as_of_position
        if self._fills.get(request) is not fill or as_of < fill.begun:
            return  # an event of the stock was published during the read
        stock = answer.removesuffix(self._encoded(as_of))
        self._put_entry(request, as_of, self._clock() + TTL_SECONDS, stock)

    def _put_entry(self, request: bytes, as_of: int, fresh_until: float, stock: bytes) -> bytes:
        shard = self._shard(request)
        if request not in shard:
            self._put.append(request)
            if len(self._put) > self._limit:
                oldest = self._put.popleft()
                self._shard(oldest).pop(oldest, None)
        entry = shard[request] = _READ.pack(as_of, fresh_until) + stock
        return entry

    def warm(self, stock: Inventory, as_of: int) -> None:
        """Keep *stock*, which nobody has asked for yet."""
        if as_of < self._head.position:
            return  # an event of the stock may have been published during the read
        response = GetStockResponse(as_of_position=as_of)
        fill_stock(response.stock, stock)
        request = request_for(*stock.stock_id)
        fill = self.begin(request)
        self.keep(request, response, response.SerializeToString(), fill)
        self.end(request, fill)

    def recorded(self, events: Sequence[Event]) -> None:
        """Keep the last event of each stock of *events* that is cached, or being read."""
        if self._is_empty():
            return
        fresh_until, renewed = self._clock() + TTL_SECONDS, self._renewed
        for event in events:
            if type(event.key) is StockId and self._drop(request := request_for(*event.key)):
                if len(renewed) >= MAX_RENEWED:
                    renewed.clear()
                renewed[request] = event, fresh_until

    def recorded_elsewhere(self, streams: Sequence[Key]) -> None:
        """Drop the stocks among *streams*."""
        if self._is_empty():
            return
        for key in streams:
            if type(key) is StockId:
                self._drop(request_for(*key))

    def _is_empty(self) -> bool:
        """Return whether no event concerns it; a service that nobody reads from pays nothing."""
        return not (self._put or self._fills or self._renewed)

    def _drop(self, request: bytes) -> bool:
        """Drop all about a stock, except for its room; return whether there was anything."""
        shard = self._shard(request)
        fill, last = self._fills.pop(request, None), self._renewed.pop(request, None)
        if request in shard:
            shard[request] = _NOTHING
            return True
        return fill is not None or last is not None

    def skipped(self, upto: int) -> None:  # noqa: ARG002  all entries may be outdated
        """Clear the cache."""
        for shard in self._shards:
            shard.clear()
        self._put.clear()
        self._fills.clear()
        self._renewed.clear()


_PRODUCT: Final = [
    GetStockRequest(product_id="-" * size).SerializeToString()[: -size or None]
    for size in range(MAX_NAME + 1)
]
_STORE: Final = [
    GetStockRequest(store_id="-" * size).SerializeToString()[: -size or None]
    for size in range(MAX_NAME + 1)
]
"""The tag and the length before a name, by its length."""


def request_for(product_id: str, store_id: str) -> bytes:
    """Return the canonical encoding of the request for the stock.

    By hand it takes 0.3 µs for each event, and by a message 0.8 µs.
    """
    return b"".join(
        (
            _PRODUCT[len(product_id)],
            product_id.encode(),
            _STORE[len(store_id)],
            store_id.encode(),
        )
    )
