"""Virtual time on the event loop: it advances when every task waits, so no test waits."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

TURN_SECONDS: Final = 20e-6
"""The virtual duration of a turn, so that timers also fire while there is work to do."""


class _Selector:
    """Passes on what is ready, and instead of waiting lets time jump to the next timer."""

    def __init__(self, selector: Any, now: float) -> None:  # noqa: ANN401  asyncio's own
        self._selector = selector
        self.now = now

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401  as above
        return getattr(self._selector, name)

    def select(self, timeout: float | None) -> Any:  # noqa: ANN401  as above
        if timeout is None:
            # there is no timer; somebody outside may still wake the loop
            return self._selector.select(None)
        ready = self._selector.select(0)
        self.now += TURN_SECONDS if ready else max(timeout, TURN_SECONDS)
        return ready


@contextmanager
def virtual_time(loop: asyncio.AbstractEventLoop) -> Iterator[None]:
    """Have time be virtual on *loop*. Not for what waits for threads: time would not wait."""
    real: Any = loop
    selector, time = real._selector, loop.time
    real._selector = virtual = _Selector(selector, time())
    real.time = lambda: virtual.now
    try:
        yield
    finally:
        real._selector, real.time = selector, time
