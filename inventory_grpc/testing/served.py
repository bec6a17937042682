"""The process of an `InventoryServer`: a server whose clock its parent moves.

It prints its address. Each line that it reads is the number of microseconds by which its clock is
ahead from then on; it prints the position of the log when all that is overdue has expired. At the
end of its input, which is also that of its parent, it drains and ends.
"""

import asyncio
import os
import sys
from typing import Final

from inventory_grpc.domain.values import Instant
from inventory_grpc.infrastructure import clocks
from inventory_grpc.server.environment import load
from inventory_grpc.server.logs import set_up_logging
from inventory_grpc.server.serve import Served, serving

POLL_SECONDS: Final = 0.005
"""The interval at which expiry is polled."""


class MovedClocks:
    """The clocks of this machine, *ahead* by some microseconds."""

    def __init__(self, ahead: int) -> None:
        self.ahead = ahead

    def wall(self) -> Instant:
        return Instant(clocks.wall() + self.ahead)

    def monotonic(self) -> int:
        return clocks.monotonic() + self.ahead


async def serve(ahead: int) -> None:
    """Serve until the end of the input."""
    settings = load(os.environ)
    set_up_logging(settings.log_format, None)
    moved = MovedClocks(ahead)
    async with serving(settings, wall=moved.wall, monotonic=moved.monotonic) as served:
        _say(served.address)
        while line := await asyncio.to_thread(sys.stdin.readline):
            moved.ahead = int(line)
            await _expired(served)
            _say(served.engine.head.position)


async def _expired(served: Served) -> None:
    """Wait until nothing is overdue."""
    ledger = served.engine.ledger
    ledger.follow()  # it sleeps until the next expiry by the clock as it was
    while ledger.expiry_lag():  # noqa: ASYNC110  no event tells
        await asyncio.sleep(POLL_SECONDS)


def _say(answer: object) -> None:
    print(answer, flush=True)  # noqa: T201  the parent reads it


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
