"""The published head of the log in this process, and the signal that it moves."""

import asyncio


class Head:
    """The position up to which everything is on disk and has been told to this process.

    Waiting is level-triggered: take `moved` first, then look at `position`, then wait.
    What happens in between has set the signal that was taken.
    """

    def __init__(self, position: int = 0) -> None:
        self.position = position
        self.closing = False
        self.moved = asyncio.Event()

    def advance(self, position: int) -> None:
        """Go to *position* and wake everybody."""
        if position > self.position:
            self.position = position
            self._wake()

    def close(self) -> None:
        """Have every follower say where it is, and leave."""
        self.closing = True
        self._wake()

    def _wake(self) -> None:
        moved, self.moved = self.moved, asyncio.Event()
        moved.set()
