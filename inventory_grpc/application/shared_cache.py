"""The port of a cache that all servers of a log share, behind the cache that each of them has."""

from typing import NamedTuple, Protocol


class Unanswered(Exception):
    """The cache did not answer in time, or was not asked because it lately did not."""


class Kept(NamedTuple):
    """A value, and the log position at which it was read."""

    position: int
    value: bytes


class SharedCache(Protocol):
    """A cache that may lose anything at any time."""

    async def find(self, name: bytes) -> Kept | None:
        """Return the value under *name*; None if there is none.

        Raises:
            Unanswered: nothing is known.
        """

    def keep(self, name: bytes, kept: Kept) -> None:
        """Have a value kept, unless there is one that is as new, or has the same bytes.

        It returns at once, and the value may get lost. A `find` after it sees the value.
        """
