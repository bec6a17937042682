"""The log and its read models in the file, as queries read them."""

from typing import Any

import apsw

from inventory_grpc.application.ports import Query, Reading, T
from inventory_grpc.domain.event import Key
from inventory_grpc.domain.stock import Inventory
from inventory_grpc.domain.values import StockId
from inventory_grpc.infrastructure.codec import decode
from inventory_grpc.infrastructure.read_models import ANSWERS, STATES
from inventory_grpc.infrastructure.sqlite import events as log
from inventory_grpc.infrastructure.sqlite.readers import Readers


class SqliteViews:
    """The `Views` over the file."""

    def __init__(self, readers: Readers) -> None:
        self._readers = readers
        self.latest = LatestState(readers)

    def at(self, position: int) -> "PastState":
        return PastState(self._readers, position)


class LatestState:
    """The `Snapshot` of the newest state: each answer is made in one read transaction.

    A state is a look-up or two, done on the event loop without suspension; a query runs on a
    thread.
    """

    def __init__(self, readers: Readers) -> None:
        self._readers = readers

    async def get(self, key: Key) -> Reading[Any]:
        return self._readers.point(STATES[type(key)], key)

    async def read(self, query: Query[T]) -> Reading[T]:
        answer = ANSWERS[type(query)]

        def read(connection: apsw.Connection) -> Reading[T]:
            return Reading(answer(connection, query), log.read_head(connection))

        return await self._readers.scan(read)


class PastState:
    """The state right after a position, as the events up to there say."""

    def __init__(self, readers: Readers, position: int) -> None:
        self._readers = readers
        self._position = position

    async def get(self, key: StockId) -> Reading[Inventory | None]:
        def read(connection: apsw.Connection) -> Reading[Inventory | None]:
            return Reading(_stock_at(connection, key, self._position), self._position)

        return await self._readers.scan(read)


def _stock_at(connection: apsw.Connection, stock_id: StockId, position: int) -> Inventory | None:
    stream = log.find_stream(connection, stock_id)
    version = 0 if stream is None else log.version_at(connection, stream, position)
    if not version:
        return None
    data: bytes = connection.execute(
        "SELECT event FROM events WHERE stream = ? AND version = ?", (stream, version)
    ).get
    return Inventory.at(decode(data))
