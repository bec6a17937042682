"""Limits the number of concurrent calls of each kind.

Each kind has its own limit: long subscriptions leave room for commands, and slow lists for
carts. If callers are authenticated, one caller cannot use all of a limit. Health checks,
reflection and administration are not limited; health watches, which need no token, have their
own limit.
"""

from collections import Counter
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from inventory_grpc.application.failures import Overloaded
from inventory_grpc.presentation.call import Call
from inventory_grpc.presentation.grpc_types import Behaviour
from inventory_grpc.presentation.interceptors.around import Around

WATCH: Final = "/grpc.health.v1.Health/Watch"

RETRY_SECONDS: Final = 0.1
STREAM_RETRY_SECONDS: Final = 1.0
"""The retry delays: short calls end soon, streams do not."""


class Limits(NamedTuple):
    """The most concurrent calls of each kind, over all connections."""

    commands: int = 2_000
    queries: int = 1_000
    streams: int = 1_000
    """Subscriptions, and as many health watches."""
    share: float = 0.5
    """The largest part of each limit that one caller may use."""
    bulk: int = 50
    """Batches, and as many command streams: one was measured to take up to 5 MiB while queued."""


@dataclass
class Room:
    """The running calls of one kind, and their limit."""

    most: int
    share: float
    retry_seconds: float
    taken: int = 0
    by_actor: Counter[str] = field(default_factory=Counter)

    def enter(self, actor: str) -> None:
        """Count one more call.

        Raises:
            Overloaded: the limit, or the share of this caller, is reached.
        """
        if self.taken >= self.most or (
            actor and self.by_actor[actor] >= max(1, int(self.most * self.share))
        ):
            raise Overloaded(self.retry_seconds)
        self.taken += 1
        if actor:
            self.by_actor[actor] += 1

    def leave(self, actor: str) -> None:
        self.taken -= 1
        if actor:
            self.by_actor[actor] -= 1
            if not self.by_actor[actor]:
                del self.by_actor[actor]


class Admit(Around):
    """Refuses calls beyond the limits, before their requests are read."""

    def __init__(self, limits: Limits) -> None:
        super().__init__()
        commands, queries, streams, share, bulk = limits
        self._streams = Room(streams, share, STREAM_RETRY_SECONDS)
        queries_room = Room(queries, share, RETRY_SECONDS)
        self._by_method = {
            "/inventory.v1.InventoryCommands/ExecuteBatch": Room(bulk, share, RETRY_SECONDS),
            "/inventory.v1.InventoryCommands/ExecuteStream": Room(
                bulk, share, STREAM_RETRY_SECONDS
            ),
            WATCH: Room(streams, share, STREAM_RETRY_SECONDS),
            "/inventory.v1.InventoryCommands": Room(commands, share, RETRY_SECONDS),
            "/inventory.v1.InventoryQueries": queries_room,
            "/inventory.v1.InventoryEvents": queries_room,
        }
        self.rooms = {
            "commands": self._by_method["/inventory.v1.InventoryCommands"],
            "queries": queries_room,
            "streams": self._streams,
            "batches": self._by_method["/inventory.v1.InventoryCommands/ExecuteBatch"],
            "command_streams": self._by_method["/inventory.v1.InventoryCommands/ExecuteStream"],
            "watches": self._by_method[WATCH],
        }
        """The rooms by the names that operators see."""

    def around(self, method: str, inner: Behaviour, *, streams: bool) -> Behaviour:
        room = self._by_method.get(method)
        if room is None:
            room = self._by_method.get(method.rpartition("/")[0])
            if room is None:
                return inner
            if streams:
                room = self._streams

        async def admitted(request: object, call: Call) -> object:
            actor = call.caller.actor
            room.enter(actor)
            try:
                return await inner(request, call)
            finally:
                room.leave(actor)

        return admitted
