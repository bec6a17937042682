"""The states that queries read: the newest, and those after an earlier position."""

from typing import Any

import apsw

from inventory_grpc.application.ports import Query, Reading, T
from inventory_grpc.domain.event import Key
from inventory_grpc.infrastructure.read_models import ANSWERS, STATES
from inventory_grpc.infrastructure.sqlite import events as log
from inventory_grpc.infrastructure.sqlite.folding import newest, state_at
from inventory_grpc.infrastructure.sqlite.readers import Readers


class SqliteViews:
    def __init__(self, readers: Readers) -> None:
        self._readers = readers
        self.latest = LatestState(readers)

    def at(self, position: int) -> "PastState":
        return PastState(self._readers, position)


class LatestState:
    """The `Snapshot` of the newest state: each answer comes from one read transaction.

    A state takes one or two look-ups, on the event loop without suspension; a query runs on a
    thread.
    """

    def __init__(self, readers: Readers) -> None:
        self._readers = readers

    async def get(self, key: Key) -> Reading[Any]:
        return self._readers.point(STATES.get(type(key), newest), key)

    async def read(self, query: Query[T], at_least: int = 0) -> Reading[T]:  # noqa: ARG002  a file is never behind
        answer = ANSWERS[type(query)]

        def read(connection: apsw.Connection) -> Reading[T]:
            return Reading(answer(connection, query), log.read_head(connection))

        return await self._readers.scan(read)


class PastState:
    """The `Snapshot` of the state right after a position, folded from the events up to it."""

    def __init__(self, readers: Readers, position: int) -> None:
        self._readers = readers
        self._position = position

    async def get(self, key: Key) -> Reading[Any]:
        def read(connection: apsw.Connection) -> Reading[Any]:
            return Reading(state_at(connection, key, self._position), self._position)

        return await self._readers.scan(read)
