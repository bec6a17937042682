"""A mapping of at most so many values, those put last."""

from collections import OrderedDict
from collections.abc import Hashable
from typing import TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Recent(OrderedDict[K, V]):
    """A mapping with a fixed limit, which drops the value that was put longest ago.

    To move a value with each look-up as well, as an LRU cache does, costs three times as much as
    the look-up. Not a `dict`: to find the first in one whose first were taken out takes long.
    """

    def __init__(self, limit: int) -> None:
        super().__init__()
        self._limit = limit

    def put(self, key: K, value: V) -> None:
        self[key] = value
        self.move_to_end(key)
        if len(self) > self._limit:
            self.popitem(last=False)
