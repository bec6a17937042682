"""The states that queries read: the newest, and those after an earlier position."""

from typing import Any

from inventory_grpc.application.ports import Query, Reading, T
from inventory_grpc.domain.event import Key
from inventory_grpc.infrastructure.postgres import events as log
from inventory_grpc.infrastructure.postgres.folding import newest, state_at
from inventory_grpc.infrastructure.postgres.point_reads import PointReads
from inventory_grpc.infrastructure.postgres.read_models import ANSWERS, POINTS
from inventory_grpc.infrastructure.postgres.readers import Readers
from inventory_grpc.infrastructure.postgres.wire import Wire


class PostgresViews:
    def __init__(self, readers: Readers) -> None:
        self._readers = readers
        self.latest = LatestState(readers)

    def at(self, position: int) -> "PastState":
        return PastState(self._readers, position)


class LatestState:
    """The `Snapshot` of the newest state: each answer comes from one snapshot of the server."""

    def __init__(self, readers: Readers) -> None:
        self._readers = readers
        self._points = PointReads(readers)

    async def get(self, key: Key) -> Reading[Any]:
        if type(key) in POINTS:
            return await self._points.read(key)
        return await self._readers.read(newest, key)

    async def read(self, query: Query[T]) -> Reading[T]:
        if type(query) in POINTS:
            return await self._points.read(query)
        answer = ANSWERS[type(query)]

        def read(wire: Wire) -> Reading[T]:
            return Reading(answer(wire, query), log.read_head(wire))

        return await self._readers.scan(read)


class PastState:
    """The `Snapshot` of the state right after a position, folded from the events up to it."""

    def __init__(self, readers: Readers, position: int) -> None:
        self._readers = readers
        self._position = position

    async def get(self, key: Key) -> Reading[Any]:
        def read(wire: Wire) -> Reading[Any]:
            return Reading(state_at(wire, key, self._position), self._position)

        return await self._readers.scan(read)
