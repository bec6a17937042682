"""Checkpoints run on a thread; a test waits for one, or holds it back."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any, Final, ParamSpec, TypeVar

import pytest

from inventory_grpc.infrastructure.sqlite import checkpoints

P = ParamSpec("P")
T = TypeVar("T")

PATIENCE_SECONDS: Final = 10.0


class Moves:
    """All that are begun from now on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.begun = threading.Event()
        """One was, since the last `hold`."""
        self._last: Future[Any] | None = None
        self._go_on = threading.Event()
        self._go_on.set()
        monkeypatch.setattr(checkpoints, "ThreadPoolExecutor", partial(_Thread, self))

    def hold(self) -> None:
        """Have the next one wait before it moves anything."""
        self.begun.clear()
        self._go_on.clear()

    def let_go(self) -> None:
        self._go_on.set()

    async def ended(self) -> None:
        """Wait until the last one has come to its end, or failed."""
        if self._last is not None:
            await asyncio.wait([asyncio.wrap_future(self._last)], timeout=PATIENCE_SECONDS)
            assert self._last.done()

    def begin(self, moving: Future[Any]) -> None:
        self._last = moving

    def wait(self) -> None:
        self.begun.set()
        assert self._go_on.wait(PATIENCE_SECONDS)


class _Thread(ThreadPoolExecutor):
    def __init__(self, moves: Moves, workers: int, thread_name_prefix: str) -> None:
        self._moves = moves
        super().__init__(workers, thread_name_prefix)

    def submit(self, work: Callable[P, T], /, *args: P.args, **named: P.kwargs) -> Future[T]:
        def later() -> T:
            self._moves.wait()
            return work(*args, **named)

        moving = super().submit(later)
        self._moves.begin(moving)
        return moving
