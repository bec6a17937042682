"""The states that queries read: the newest, and those after an earlier position."""

from typing import Any, Final

from inventory_grpc.application.ports import Query, Reading, T
from inventory_grpc.application.queries.at_risk import AtRiskQuery
from inventory_grpc.application.queries.policy import PolicyQuery
from inventory_grpc.application.queries.product import ProductQuery
from inventory_grpc.application.queries.reservation import ReservationQuery
from inventory_grpc.application.queries.stock import StockQuery
from inventory_grpc.application.queries.store import StoreQuery
from inventory_grpc.domain.event import Key
from inventory_grpc.infrastructure.postgres import events as log
from inventory_grpc.infrastructure.postgres.folding import newest, state_at
from inventory_grpc.infrastructure.postgres.point_reads import PointReads
from inventory_grpc.infrastructure.postgres.read_models import ANSWERS, POINTS
from inventory_grpc.infrastructure.postgres.readers import Readers
from inventory_grpc.infrastructure.postgres.replicas import Scans
from inventory_grpc.infrastructure.postgres.wire import Wire

LISTS: Final = frozenset(
    {AtRiskQuery, PolicyQuery, ProductQuery, ReservationQuery, StockQuery, StoreQuery}
)
"""The queries that replicas answer, which may be somewhat behind."""


class PostgresViews:
    def __init__(self, readers: Readers, scans: Scans) -> None:
        self._scans = scans
        self.latest = LatestState(readers, scans)

    def at(self, position: int) -> "PastState":
        return PastState(self._scans, position)


class LatestState:
    """The `Snapshot` of the newest state: each answer comes from one snapshot of a server."""

    def __init__(self, readers: Readers, scans: Scans) -> None:
        self._readers = readers
        self._scans = scans
        self._points = PointReads(readers)

    async def get(self, key: Key) -> Reading[Any]:
        if type(key) in POINTS:
            return await self._points.read(key)
        return await self._readers.read(newest, key)

    async def read(self, query: Query[T], at_least: int = 0) -> Reading[T]:
        if type(query) in POINTS:
            return await self._points.read(query)
        answer = ANSWERS[type(query)]

        def read(wire: Wire) -> Reading[T]:
            return Reading(answer(wire, query), log.read_head(wire))

        if type(query) in LISTS:
            return await self._scans.scan(read, at_least)
        return await self._readers.scan(read)


class PastState:
    """The `Snapshot` of the state right after a position, folded from the events up to it."""

    def __init__(self, scans: Scans, position: int) -> None:
        self._scans = scans
        self._position = position

    async def get(self, key: Key) -> Reading[Any]:
        def read(wire: Wire) -> Reading[Any]:
            return Reading(state_at(wire, key, self._position), self._position)

        return await self._scans.scan(read, at_least=self._position)
