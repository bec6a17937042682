"""Follows a log, and publishes its events to a target.

    read the place in the target  ->  follow the log from there  ->  publish a batch  ->  …

After a failure it begins again at the top. So it needs no state but that of the target.
"""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from typing import Any, Final

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, wait_random_exponential

from inventory_grpc.choices import EventFormat
from inventory_grpc.client import InventoryClient, OtherLog, PositionAhead
from inventory_grpc.relay.messages import message_of
from inventory_grpc.relay.progress import Progress
from inventory_grpc.relay.target import Overtaken, Parked, Place, Target, Unfit, Unreachable
from inventory_grpc_protos.v1.events_pb2 import SubscribeResponse

_log = logging.getLogger(__name__)

MAX_BATCH: Final = 256
"""Events that are published at once. A batch has whole commands, so it may have more."""

MAX_WAIT: Final = 10.0
"""The most seconds between two attempts to reach the target; on average half of it."""

MAX_OVERTAKEN: Final = 3
OVERTAKEN_SECONDS: Final = 60.0
"""So often another event may be the last one in the target, with no longer pause between.

Once, that may be what a relay that was killed has left on the way. More often, another one is
running.
"""

Filters = Mapping[str, Sequence[str]]
"""The filters of `InventoryClient.subscribe`, by name."""


class Relay:
    """Publishes the events of a log, from the place in *target* on.

    An empty target gets the events after the position *after*.
    """

    def __init__(  # noqa: PLR0913  both ends, and how
        self,
        inventory: InventoryClient,
        target: Target,
        *,
        form: EventFormat = EventFormat.PROTOBUF,
        filters: Filters | None = None,
        after: int = 0,
        stop_at_head: bool = False,
    ) -> None:
        self.progress = Progress()
        self._inventory = inventory
        self._target = target
        self._form = form
        self._filters: Mapping[str, Any] = filters or {}
        self._after = after
        self._stop_at_head = stop_at_head
        self._times_overtaken = 0
        self._overtaken_at = 0.0
        self._publishing = asyncio.Lock()
        self._running: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Publish until `stop`; with *stop_at_head*, up to the end of the log.

        Raises:
            Overtaken: another relay publishes to the target.
            Unfit: the target has the events of another log, or none can be published to it.
            InventoryError: the server refuses the subscription.
        """
        self._running = asyncio.current_task()
        retries = AsyncRetrying(
            retry=retry_if_exception_type((Unreachable, Overtaken)),
            wait=wait_random_exponential(multiplier=0.1, max=MAX_WAIT),
            stop=self._is_overtaken_for_good,
            reraise=True,
        )
        try:
            while not await retries(self._round):
                pass  # a round that has got on is followed by the next one at once
        finally:
            await self._target.close()

    async def stop(self) -> None:
        """End `run` between two batches."""
        async with self._publishing:
            if self._running is not None:
                self._running.cancel()

    async def _round(self) -> bool:
        """Publish until the end of the log, or until a failure after events were published.

        Returns True at the end of the log.

        Raises:
            Unreachable, Overtaken: nothing was published before the failure.
        """
        sent = self.progress.sent
        try:
            await self._follow(await self._started())
        except Unreachable as failure:
            self._failed(failure)
            if self.progress.sent == sent:
                raise
        except Overtaken as overtaken:
            self._count_overtaken()
            _log.warning("another event is the last: %s", overtaken)
            if self.progress.sent == sent or self._is_overtaken_for_good():
                raise
        else:
            return True
        return False

    def _count_overtaken(self) -> None:
        self.progress.refused += 1
        before, self._overtaken_at = self._overtaken_at, time.monotonic()
        is_another_time = self._overtaken_at - before > OVERTAKEN_SECONDS
        self._times_overtaken = 1 if is_another_time else self._times_overtaken + 1

    def _is_overtaken_for_good(self, _: RetryCallState | None = None) -> bool:
        return self._times_overtaken >= MAX_OVERTAKEN

    async def _started(self) -> Place:
        place = await self._target.start()
        self.progress.is_connected = True
        if not self.progress.is_parked:
            self.progress.trouble = ""
        if place.position and self._after and self._after != place.position:
            raise Unfit(
                f"the last event in the target is {place.position}: --after {self._after} is for "
                "an empty target"
            )
        self.progress.position = place.position or self._after
        _log.info("publishing after position %d", self.progress.position)
        return place

    def _failed(self, failure: Unreachable) -> None:
        self.progress.failures += 1
        self.progress.is_connected, self.progress.trouble = False, str(failure)
        self.progress.is_parked = isinstance(failure, Parked)
        _log.warning("the target does not take events, and is tried again: %s", failure)

    async def _follow(self, place: Place) -> None:
        async with aclosing(self._batches(place)) as batches:
            try:
                async for batch in batches:
                    self.progress.head = batch.head_position
                    place = await self._publish(place, batch)
                    self.progress.reached(batch.position)
            except OtherLog as other:
                raise Unfit(
                    f"the target has the events of log {place.log_id}, which the server's is not "
                    f"({other}): publish to another target, which is empty"
                ) from other
            except PositionAhead as ahead:
                if not place.position:
                    raise
                raise Unfit(
                    f"the last event in the target is {place.position}, which is not in the log "
                    f"({ahead}): was a backup restored? Publish to another target"
                ) from ahead

    def _batches(self, place: Place) -> AsyncGenerator[SubscribeResponse, None]:
        return self._inventory.subscribe(
            **self._filters,
            after_position=place.position or self._after,
            log_id=place.log_id,
            max_batch=MAX_BATCH,
            stop_at_head=self._stop_at_head,
        )

    async def _publish(self, place: Place, batch: SubscribeResponse) -> Place:
        """Publish the events of *batch* behind *place*; return the place of the last."""
        if not batch.events:
            return place
        messages = [message_of(event, self._form) for event in batch.events]
        async with self._publishing:
            await self._target.publish(place, messages)
        self.progress.sent += len(messages)
        self.progress.is_parked, self.progress.trouble = False, ""
        return Place(messages[-1].position, messages[-1].event_id)
