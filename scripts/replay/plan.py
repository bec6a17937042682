"""Decides by a seed how each basket ends, and which requests are sent twice."""

from dataclasses import dataclass
from enum import Enum
from hashlib import blake2b


class Fate(Enum):
    """What happens to a basket once it is reserved."""

    COMMITTED = "committed"
    RELEASED = "released"
    EXPIRED = "expired"


class Sending(Enum):
    """How a request is sent."""

    ONCE = "once"
    AGAIN = "again, once it was answered"
    TWICE_AT_ONCE = "twice at the same time"


@dataclass(frozen=True)
class Plan:
    """Decides by lot, but always in the same way for the same *seed*.

    The lot of a basket or a request depends on nothing but its id, so it does not matter
    in which order callers come to it.
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
        """Return how long a basket is held that is left to expire: 1 to 2 seconds."""
        return 1 + self._lot(f"time of {basket_id}")

    def sending(self, request_id: str) -> Sending:
        lot = self._lot(request_id)
        if lot >= self.twice:
            return Sending.ONCE
        return Sending.AGAIN if lot < self.twice / 2 else Sending.TWICE_AT_ONCE

    def _lot(self, what: str) -> float:
        """Return a number from 0 to below 1 that belongs to *what*."""
        digest = blake2b(f"{self.seed} {what}".encode(), digest_size=6).digest()
        return int.from_bytes(digest) / 2**48
