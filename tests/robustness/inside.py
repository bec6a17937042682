"""A real server in this process, whose insides can be looked at."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from inventory_grpc import bootstrap
from inventory_grpc.application import failpoints
from inventory_grpc.presentation import server
from inventory_grpc.settings import Settings
from tests.support.waiting import eventually


@dataclass
class Inside:
    """What is at work behind an address."""

    address: str
    parts: bootstrap.Engine
    doors: server.Doors
    tasks: int
    """How many there were before anybody called."""

    @property
    def waiting(self) -> int:
        """Return how many commands are in the mailbox."""
        return len(self.parts.ledger._mailbox)

    @property
    def calls(self) -> set["asyncio.Task[Any]"]:
        """Return the tasks of the calls that are being served."""
        return set(self.doors.calls._running)

    async def at_rest(self) -> None:
        """Wait until nothing is left of any call: not a task, not a place, not a slot."""
        await eventually(lambda: not self.doors.calls.running and not self.waiting)
        await eventually(lambda: len(asyncio.all_tasks()) <= self.tasks)


@asynccontextmanager
async def serving_openly(
    path: Path, monkeypatch: pytest.MonkeyPatch, *, fail_points: str = "", **chosen: Any
) -> AsyncIterator[Inside]:
    """Serve from *path* with these fail points armed, in this process."""
    caught: dict[str, Any] = {}
    make_doors, make_engine = bootstrap.doors, bootstrap.engine

    def doors() -> server.Doors:
        caught["doors"] = make_doors()
        return caught["doors"]  # type: ignore[no-any-return]

    @asynccontextmanager
    async def engine(*args: Any, **more: Any) -> AsyncIterator[bootstrap.Engine]:
        async with make_engine(*args, **more) as parts:
            caught["parts"] = parts
            yield parts

    monkeypatch.setattr(bootstrap, "doors", doors)
    monkeypatch.setattr(bootstrap, "engine", engine)
    failpoints.arm(fail_points)
    try:
        async with bootstrap.serving(
            Settings(listen="127.0.0.1:0", database=path, **chosen)
        ) as served:
            await asyncio.sleep(0)
            yield Inside(served.address, tasks=len(asyncio.all_tasks()), **caught)
    finally:
        failpoints.arm("")
