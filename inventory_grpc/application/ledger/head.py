"""The published head of the log in this process, and the signal of its changes."""

import asyncio


class Head:
    """The last position that is on disk and published to this process.

    Waiting is level-triggered: take `moved`, then read `position`, then wait. A change in
    between has set the event that was taken.
    """

    def __init__(self, position: int = 0) -> None:
        self.position = position
        self.closing = False
        self.moved = asyncio.Event()

    def advance(self, position: int) -> None:
        """Move to *position* and wake all waiters."""
        if position > self.position:
            self.position = position
            self._wake()

    def close(self) -> None:
        """Make every follower report its position and end."""
        self.closing = True
        self._wake()

    def _wake(self) -> None:
        moved, self.moved = self.moved, asyncio.Event()
        moved.set()
