"""Work that goes on for as long as a process serves, whatever goes wrong in one turn of it."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Never

from inventory_grpc.application.failures import bug

_log = logging.getLogger(__name__)


async def repeat(what: str, turn: Callable[[], Awaitable[None]], every_seconds: float) -> Never:
    """Await *turn* every so often, until cancelled.

    An unexpected exception ends nothing: its story is logged once for each outage, and the next
    turn comes as usual. A loop that ended silently would be missed only when it is needed.
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
    """Tell whether somebody ends the loop, and it is not something it awaited that was ended."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
