"""Room for calls: of each kind only so many are let in.

Calls of one kind cannot take the room of another: subscriptions that stay for days leave
room for commands, slow lists for carts. One caller cannot take all of a room, where callers
are authenticated. Health checks, reflection and administration are always let in; watches
of health, which need no token, have a room of their own.
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
"""The delay after which to come back: short calls make room soon, streams do not."""


class Limits(NamedTuple):
    """The most calls of each kind that may be under way, over all connections."""

    commands: int = 2_000
    queries: int = 1_000
    streams: int = 1_000
    """Subscriptions, and as many watches of health."""
    share: float = 0.5
    """Of each of these, one caller's most."""
    bulk: int = 50
    """Batches, and as many streams of commands: measured, one takes up to 5 MiB while it waits."""


@dataclass
class _Room:
    """Calls of one kind that are under way."""

    most: int
    share: float
    retry_seconds: float
    taken: int = 0
    by_actor: Counter[str] = field(default_factory=Counter)

    def enter(self, actor: str) -> None:
        """Take a place.

        Raises:
            Overloaded: there is none, or none for this caller.
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
    """Lets in as many calls as there is room for, and refuses the others unread."""

    def __init__(self, limits: Limits) -> None:
        super().__init__()
        commands, queries, streams, share, bulk = limits
        self._streams = _Room(streams, share, STREAM_RETRY_SECONDS)
        queries_room = _Room(queries, share, RETRY_SECONDS)
        self._rooms = {
            "/inventory.v1.InventoryCommands/ExecuteBatch": _Room(bulk, share, RETRY_SECONDS),
            "/inventory.v1.InventoryCommands/ExecuteStream": _Room(
                bulk, share, STREAM_RETRY_SECONDS
            ),
            WATCH: _Room(streams, share, STREAM_RETRY_SECONDS),
            "/inventory.v1.InventoryCommands": _Room(commands, share, RETRY_SECONDS),
            "/inventory.v1.InventoryQueries": queries_room,
            "/inventory.v1.InventoryEvents": queries_room,
        }

    def around(self, method: str, inner: Behaviour, *, streams: bool) -> Behaviour:
        room = self._rooms.get(method)
        if room is None:
            room = self._rooms.get(method.rpartition("/")[0])
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
