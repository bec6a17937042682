"""The second level of the cache of stocks, which the servers of a log share."""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import Final

from google.protobuf.message import DecodeError

from inventory_grpc.application.ledger.head import Head
from inventory_grpc.application.shared_cache import Kept, SharedCache, Unanswered
from inventory_grpc.domain.event import Event, Key
from inventory_grpc.domain.values import StockId
from inventory_grpc.presentation.stock_answers import request_for
from inventory_grpc_protos.v1.queries_pb2 import GetStockResponse
from inventory_grpc_protos.v1.stock_pb2 import Stock

MAX_MOVED: Final = 65_536
"""Stocks whose last change is remembered; about 200 bytes each."""

_FORM: Final = sha256(Stock.DESCRIPTOR.file.serialized_pb).hexdigest()[:8]
"""Releases with other fields of a stock keep their values apart."""


class SharedAnswers:
    """Finds stocks in a shared cache, and answers with those that are valid at the published head.

    The position of a value is that at which a server has read it. This server remembers the last
    changes of stocks, so it knows whether the stock has changed since then. A value from before
    the time that it remembers, or from beyond the published head, is not used. Whatever the cache
    returns, an answer is therefore never older than one of the first level.
    """

    def __init__(self, cache: SharedCache, log_id: Callable[[], str], head: Head) -> None:
        self._cache = cache
        self._log_id = log_id
        self._head = head
        self._moved = OrderedDict[bytes, int]()
        """The position of the last event of a stock, by the request for it, in order."""
        self._since = 0
        """All stocks that have changed after this position are in `_moved`."""
        self.hits = self.misses = self.errors = 0

    async def find(self, request: bytes, at_least: int) -> GetStockResponse | None:
        """Return the answer to the canonical *request*, if it is there and as new as a position."""
        if at_least > self._head.position:
            return None
        try:
            kept = await self._cache.find(self._name(request))
        except Unanswered:
            self.errors += 1
            return None
        if kept is None or not self._is_valid(request, kept.position):
            self.misses += 1
            return None
        try:
            stock = Stock.FromString(kept.value)
        except DecodeError:
            stock = Stock()
        if request_for(stock.product_id, stock.store_id) != request:  # it is from somebody else
            self.errors += 1
            return None
        self.hits += 1
        return GetStockResponse(stock=stock, as_of_position=self._head.position)

    def _is_valid(self, request: bytes, position: int) -> bool:
        """Return whether what was so at *position* is so at the published head."""
        last = self._moved.get(request, self._since)
        return last <= position <= self._head.position

    def keep(self, request: bytes, response: GetStockResponse) -> None:
        """Keep what was read from storage."""
        kept = Kept(response.as_of_position, response.stock.SerializeToString())
        self._cache.keep(self._name(request), kept)

    def _name(self, request: bytes) -> bytes:
        """Return the name of a stock of this log; a log that was restored gets another id."""
        return b"inventory:%b:%b:%b" % (_FORM.encode(), self._log_id().encode(), request)

    def recorded(self, events: Sequence[Event]) -> None:
        for event in events:
            self._note(event.key, event.position)

    def recorded_elsewhere(self, streams: Sequence[Key]) -> None:
        for position, key in enumerate(streams, self._head.position + 1):
            self._note(key, position)

    def _note(self, key: Key, position: int) -> None:
        if type(key) is not StockId:
            return
        moved, request = self._moved, request_for(*key)
        moved[request] = position
        moved.move_to_end(request)
        if len(moved) > MAX_MOVED:
            _, self._since = moved.popitem(last=False)

    def skipped(self, upto: int) -> None:
        self._moved.clear()
        self._since = upto
