"""The differences that a replay has found."""

from dataclasses import dataclass, field
from typing import Final

SHOWN: Final = 20
ENOUGH: Final = 1_000


class TooMany(Exception):
    """The replay stops early because of too many differences."""


@dataclass
class Findings:
    """The number of differences, and the first of them."""

    count: int = 0
    first: list[str] = field(default_factory=list)

    def add(self, what: str) -> None:
        """Add a difference.

        Raises:
            TooMany: the limit is reached.
        """
        self.count += 1
        if len(self.first) < SHOWN:
            self.first.append(what)
        if self.count >= ENOUGH:
            raise TooMany

    def compare(self, what: str, expected: object, found: object) -> None:
        if expected != found:
            self.add(f"{what}: {expected} expected, {found} found")
