"""Runs periodic background work, which continues after errors."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Never

from inventory_grpc.application.failures import bug

_log = logging.getLogger(__name__)


async def repeat(what: str, turn: Callable[[], Awaitable[None]], every_seconds: float) -> Never:
    """Await *turn* every *every_seconds*, until cancelled.

    An unexpected exception does not end the loop, whose silent end would be noticed too late. It
    is logged once for each outage.
    """
    trouble: type[BaseException] | None = None
    while True:
        await asyncio.sleep(every_seconds)
        try:
            await turn()
        except (Exception, asyncio.CancelledError) as error:
            if isinstance(error, asyncio.CancelledError) and _is_cancelled():
                raise
            if type(error) is not trouble:
                bug(_log, error, what)
            trouble = type(error)
        else:
            if trouble is not None:
                _log.warning("%s works again", what)
            trouble = None


def _is_cancelled() -> bool:
    """Return whether the loop itself is being cancelled, and not an awaitable in it."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
