"""Waiting for a condition, with a limit."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

SECONDS: Final = 20.0
LOOK_EVERY_SECONDS: Final = 0.005


async def eventually(holds: Callable[[], bool], seconds: float = SECONDS) -> None:
    """Return when *holds* does.

    Raises:
        TimeoutError: it has not for so long.
    """
    async with asyncio.timeout(seconds):
        while not holds():  # noqa: ASYNC110  it is looked at from outside, and tells nobody
            await asyncio.sleep(LOOK_EVERY_SECONDS)


@asynccontextmanager
async def ended(endless: Coroutine[Any, Any, object]) -> AsyncIterator[None]:
    """Run what never ends by itself; on leaving, end it."""
    task = asyncio.create_task(endless)
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
