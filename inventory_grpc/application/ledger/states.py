"""LRU cache of states, kept by the writer."""

from collections import OrderedDict
from collections.abc import Hashable, Mapping
from typing import Any, Final, Generic, TypeVar

from inventory_grpc.application.ports import State
from inventory_grpc.domain.event import Key

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

MAX_STATES: Final = 10_000
"""States of each kind of key for which no other limit is set."""


class Recent(Generic[K, V]):
    """At most so many values, those used last."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._values: OrderedDict[K, V] = OrderedDict()
        """Not a `dict`: to find the first in one whose first were taken out takes long."""

    def get(self, key: K) -> V | None:
        value = self._values.get(key)
        if value is not None:
            self._values.move_to_end(key)
        return value

    def put(self, key: K, value: V) -> None:
        self._values[key] = value
        self._values.move_to_end(key)
        if len(self._values) > self._limit:
            self._values.popitem(last=False)

    def __contains__(self, key: K) -> bool:
        return key in self._values

    def clear(self) -> None:
        self._values.clear()

    def __len__(self) -> int:
        return len(self._values)


class States:
    """The states used last, each as it was at `position`.

    They are immutable: a batch works on states of its own, and these change only by `keep`,
    after a commit. A transaction that fails has nothing to undo here.
    """

    def __init__(self, limits: Mapping[type[Any], int] | None = None) -> None:
        self.position = 0
        self._limits = limits or {}
        self._recent: dict[type[Any], Recent[Key, State]] = {}

    def get(self, key: Key) -> State | None:
        recent = self._recent.get(type(key))
        return recent.get(key) if recent is not None else None

    def __contains__(self, key: Key) -> bool:
        recent = self._recent.get(type(key))
        return recent is not None and key in recent

    def keep(self, position: int, states: Mapping[Key, State]) -> None:
        """Take in *states*, which are those of the log at *position*."""
        for key, state in states.items():
            if state is not None:
                self._of_kind(type(key)).put(key, state)
        self.position = position

    def _of_kind(self, kind: type[Any]) -> Recent[Key, State]:
        recent = self._recent.get(kind)
        if recent is None:
            recent = self._recent[kind] = Recent(self._limits.get(kind, MAX_STATES))
        return recent

    def restart(self, position: int) -> None:
        """Forget all states, and go on from *position*."""
        self._recent.clear()
        self.position = position
