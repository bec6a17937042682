"""The plan of a replay: the fate of each basket, and the requests that are sent twice."""

from dataclasses import dataclass
from enum import Enum
from hashlib import blake2b


class Fate(Enum):
    """The end of a reserved basket."""

    COMMITTED = "committed"
    RELEASED = "released"
    EXPIRED = "expired"


class Sending(Enum):
    """The way a request is sent."""

    ONCE = "once"
    AGAIN = "again, after the answer"
    TWICE_AT_ONCE = "twice at the same time"


@dataclass(frozen=True)
class Plan:
    """Decides at random, but equally for equal seeds.

    A decision depends only on the id of the basket or request, not on the order of callers.
    """

    seed: int
    twice: float
    released: float
    expired: float

    def fate(self, basket_id: int) -> Fate:
        lot = self._lot(f"fate of {basket_id}")
        if lot < self.released:
            return Fate.RELEASED
        return Fate.EXPIRED if lot < self.released + self.expired else Fate.COMMITTED

    def ttl_seconds(self, basket_id: int) -> float:
        """Return the hold time of a basket that should expire: 1 to 2 seconds."""
        return 1 + self._lot(f"time of {basket_id}")

    def sending(self, request_id: str) -> Sending:
        lot = self._lot(request_id)
        if lot >= self.twice:
            return Sending.ONCE
        return Sending.AGAIN if lot < self.twice / 2 else Sending.TWICE_AT_ONCE

    def _lot(self, what: str) -> float:
        """Return a number in [0, 1) derived from the seed and *what*."""
        digest = blake2b(f"{self.seed} {what}".encode(), digest_size=6).digest()
        return int.from_bytes(digest) / 2**48
