"""The single source of randomness of a simulation."""

import asyncio
import random


class Chance(random.Random):
    """A die that is the same for the same seed, whatever the machine."""

    def happens(self, probability: float) -> bool:
        return self.random() < probability

    def soon(self, seconds: float) -> float:
        """Return a time up to *seconds*: mostly short, at times none at all."""
        return 0.0 if self.happens(0.2) else seconds * self.random() ** 3

    async def pause(self, seconds: float) -> None:
        """Take some time up to *seconds*, one turn of the loop at least."""
        await asyncio.sleep(self.soon(seconds))
