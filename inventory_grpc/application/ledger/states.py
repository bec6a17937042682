"""LRU cache of states, kept by the writer."""

from collections import OrderedDict, defaultdict
from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final

from inventory_grpc.application.outcomes import State
from inventory_grpc.domain.event import Key

MAX_STATES: Final = 10_000
"""The default limit of cached states for each class of key."""


class States:
    """The states that batches used last, as of `position`.

    States are immutable, and the cache changes only by `keep`, after a commit. So a failed
    transaction has nothing to roll back here.
    """

    def __init__(self, limits: Mapping[type[Any], int] | None = None) -> None:
        self.position = 0
        self._limits = limits or {}
        self.hits = self.misses = 0
        """Look-ups for what a batch is known to need."""
        # not a `dict`, whose first key is slow to find after many first keys were removed
        self._recent: defaultdict[type[Any], OrderedDict[Key, State]] = defaultdict(OrderedDict)

    def count(self) -> int:
        """Return the number of states; another thread may ask."""
        return sum(len(recent) for recent in [*self._recent.values()])

    def get(self, key: Key) -> State | None:
        return self._recent[type(key)].get(key)

    def find(self, keys: Iterable[Key]) -> tuple[dict[Key, State], Collection[Key]]:
        """Return the cached states of *keys*, and those of *keys* that are not cached."""
        found: dict[Key, State] = {}
        missing: dict[Key, None] = {}
        recent = self._recent
        for key in keys:
            state = recent[type(key)].get(key)
            if state is None:
                missing[key] = None
            else:
                found[key] = state
        self.hits += len(found)
        self.misses += len(missing)
        return found, missing

    def __contains__(self, key: Key) -> bool:
        return key in self._recent[type(key)]

    def keep(self, position: int, states: Mapping[Key, State]) -> None:
        """Add *states*, which are those of the log at *position*, and evict the oldest ones."""
        for key, state in states.items():
            if state is not None:
                recent = self._recent[type(key)]
                recent[key] = state
                recent.move_to_end(key)
        for kind, recent in self._recent.items():
            limit = self._limits.get(kind, MAX_STATES)
            while len(recent) > limit:
                recent.popitem(last=False)
        self.position = position

    def restart(self, position: int) -> None:
        """Evict all states, and continue at *position*."""
        self._recent.clear()
        self.position = position
