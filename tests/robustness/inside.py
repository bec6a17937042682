"""A real server in this process, with access to its internals."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inventory_grpc.application import failpoints
from inventory_grpc.server import serve
from inventory_grpc.settings import Settings
from tests.support.waiting import eventually


@dataclass
class Inside:
    """The parts of a server behind its address."""

    served: serve.Served
    tasks: int
    """The number of tasks before the first call."""

    @property
    def address(self) -> str:
        return self.served.address

    @property
    def head(self) -> int:
        return self.served.engine.head.position

    @property
    def waiting(self) -> int:
        """Return how many commands are in the mailbox."""
        return len(self.served.engine.ledger._mailbox)

    @property
    def calls(self) -> set["asyncio.Task[Any]"]:
        """Return the tasks of the calls that are being served."""
        return set(self.served.controls.calls._running)

    async def at_rest(self) -> None:
        """Wait until nothing is left of any call: not a task, not a place, not a slot."""
        await eventually(lambda: not self.served.controls.calls.running and not self.waiting)
        await eventually(lambda: len(asyncio.all_tasks()) <= self.tasks)


@asynccontextmanager
async def serving_openly(path: str | Path, *, fail_points: str = "") -> AsyncIterator[Inside]:
    """Serve from *path* with these fail points armed, in this process."""
    failpoints.arm(fail_points)
    try:
        async with serve.serving(Settings(listen="127.0.0.1:0", database=path)) as served:
            await asyncio.sleep(0)
            yield Inside(served, tasks=len(asyncio.all_tasks()))
    finally:
        failpoints.arm("")
