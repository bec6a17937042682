"""Followers of the log over a bad network, which resume from any position at any pace."""

import asyncio
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

import grpc.aio
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from inventory_grpc_protos.v1.events_pb2 import EventFilter, SubscribeRequest
from tests.robustness.validators import Subscription
from tests.support.caller import Caller, refusal

FUTURE: Final = 100
"""The distance beyond the head at which a follower that is too early begins."""

HEARTBEAT: Final = Duration(seconds=1)


@dataclass
class Follower:
    """Keeps every message it is sent, and resumes where the last one said."""

    name: str
    begin: SubscribeRequest
    pause: float = 0.0
    leaves: float = 0.0
    """The probability that it leaves by itself after a message."""
    followed: list[Subscription] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    """Reasons why a stream did not even begin, or ended."""

    @property
    def position(self) -> int:
        """Return up to where it has been sent everything; -1 if it was sent nothing."""
        return next((one.position for one in reversed(self.followed) if one.messages), -1)

    async def follow(
        self, caller: Caller, chance: random.Random, acknowledged: Callable[[], int], end: list[int]
    ) -> None:
        """Follow until everything was sent up to where the log ends, once that is known."""
        while not (end and self.position >= end[0]):
            known = acknowledged()
            subscription = Subscription(self._next())
            self.followed.append(subscription)
            following = caller.events.Subscribe(subscription.request)
            try:
                async for message in following:
                    subscription.messages.append(message)
                    if end and self.position >= end[0]:
                        break
                    if chance.random() < self.leaves:
                        break
                    await asyncio.sleep(self.pause)
            except grpc.aio.AioRpcError as error:
                answer = refusal(error)
                subscription.ended = answer.reason or answer.code.name
                self.refused.append(subscription.ended)
                await asyncio.sleep(0.02)
            finally:
                # left alone, the call would stay open, here and on the server
                following.cancel()
            if subscription.request.from_now and subscription.messages:
                began = subscription.messages[0].position
                assert began >= known, "what was acknowledged before it called is not now"

    def _next(self) -> SubscribeRequest:
        request = SubscribeRequest()
        request.CopyFrom(self.begin)
        if self.position >= 0:
            request.after_position = self.position
        return request


def followers(head: int, time: Timestamp) -> Sequence[Follower]:
    """Return ten of them, for a log that ends at *head* and was at *time* some way before."""

    def asked(after: int = 0, **more: object) -> SubscribeRequest:
        request = SubscribeRequest(heartbeat=HEARTBEAT, **more)  # type: ignore[arg-type]
        if request.WhichOneof("start") is None:
            request.after_position = after
        return request

    toasters = EventFilter(product_ids=["toaster"], event_types=["StockReserved", "StockAdded"])
    return (
        Follower("fast", asked(max_batch=512)),
        Follower("slow", asked(1, max_batch=1), pause=0.002),
        Follower("of a kind and product", asked(filter=toasters)),
        Follower("of a store", asked(head, filter=EventFilter(store_ids=["porto"]), max_batch=3)),
        Follower(
            "of some reservations",
            asked(
                filter=EventFilter(reservation_ids=[f"{who}-{n}" for who in (0, 1) for n in (1, 5)])
            ),
        ),
        Follower("ahead by one", asked(head + 1), leaves=0.1),
        Follower("too early", asked(head + FUTURE)),
        Follower("after a time", asked(after_time=time, max_batch=7), leaves=0.2),
        Follower("from now", asked(from_now=True), leaves=0.05),
        Follower("stopping at the head", asked(stop_at_head=True, max_batch=16), pause=0.001),
    )
