"""A simulated follower, who stores its state together with the position it reflects."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from functools import partial

from inventory_grpc.application.failures import ShuttingDown
from inventory_grpc.application.following import Progress, Start
from inventory_grpc.application.ports import StorageError
from inventory_grpc.application.queries.events import EventFilter
from inventory_grpc_protos.v1.events_pb2 import Event
from tests.robustness.simulation.network import Lost, Unreachable
from tests.robustness.simulation.stage import Stage
from tests.support.engine import Engine

FILTERS = (
    EventFilter(),
    EventFilter(),
    EventFilter(product_ids=frozenset({"toaster"})),
    EventFilter(event_types=frozenset({"StockReserved", "ReservationExpired"})),
    EventFilter(store_ids=frozenset({"nowhere"})),
)


class Follower:
    """Follows the log through crashes, from any process, and never forgets its position."""

    def __init__(self, name: str, stage: Stage) -> None:
        self.name = name
        self.position = 0
        self._stage = stage
        self._matching = stage.chance.choice(FILTERS)
        self._max_events = stage.chance.choice((1, 2, 256))
        self._heartbeat = stage.chance.choice((1.0, 10.0))

    async def run(self) -> None:
        """Follow for ever."""
        chance, trace = self._stage.chance, self._stage.trace
        while True:
            process = chance.choice(self._stage.processes)
            serve = partial(self._serve, self.position)
            try:
                async with aclosing(self._stage.network.stream(process, serve)) as messages:
                    async for progress in messages:
                        self._take(progress)
                        if chance.happens(0.1):
                            await chance.pause(0.5)  # a slow reader
            except (Lost, Unreachable, ShuttingDown, StorageError) as error:
                trace.saw(self.name, f"follower: resumes after {type(error).__name__}")
                trace.note(self.name, "is at", self.position)
            await asyncio.sleep(chance.random() * 0.2)

    async def _serve(self, after: int, engine: Engine) -> AsyncGenerator[Progress, None]:
        """Do what the server does with a subscription."""
        after, _ = await engine.followers.resolve(Start(after), "simulated")
        following = engine.followers.follow(
            after,
            self._matching,
            max_events=self._max_events,
            heartbeat_seconds=self._heartbeat,
            stop_at=None,
        )
        async with aclosing(following) as stretches:
            async for progress in stretches:
                yield progress

    def _take(self, progress: Progress) -> None:
        """Hold a message against what is on disk."""
        require, tables = self._stage.trace.require, self._stage.disk.tables
        before, self.position = self.position, progress.position
        rule = f"{self.name} went from {before} to {progress.position}, and"
        require(before <= progress.position <= tables.head, f"{rule} the log is not there")
        ends = progress.position == tables.head or (
            tables.events[progress.position].command_position == progress.position + 1
        )
        require(ends, f"{rule} that is in the middle of a command")
        stretch = range(before, progress.position)
        wanted = [tables.encoded[n] for n in stretch if self._is_wanted(tables.encoded[n])]
        require(list(progress.events) == wanted, f"{rule} what it got is not what there is")
        self._stage.trace.note(self.name, "is at", self.position, len(progress.events))

    def _is_wanted(self, data: bytes) -> bool:
        if self._matching == FILTERS[0]:
            return True
        event = Event.FromString(data)
        kind = "".join(part.capitalize() for part in (event.WhichOneof("fact") or "").split("_"))
        matching = self._matching
        return (
            (not matching.product_ids or event.product_id in matching.product_ids)
            and (not matching.store_ids or event.store_id in matching.store_ids)
            and (not matching.event_types or kind in matching.event_types)
        )
