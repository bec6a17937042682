"""A store: all that an engine of storage gives the service, and how it is opened."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from enum import Enum
from typing import NamedTuple, Never, Protocol

from inventory_grpc.application.ledger.head import Head
from inventory_grpc.application.ports import Storage, Views
from inventory_grpc.application.queries.events import EventLog


class Durability(Enum):
    """How much of a command is on disk when it is answered."""

    FULL = "full"
    """All of it: it survives the death of the process, of the system, and of the power."""
    RELAXED = "relaxed"
    """It survives the death of the process. After a power cut the last seconds may be gone."""


class Changes(Protocol):
    """News of what other processes record in the same log."""

    async def watch(self, head: Head, moved: Callable[[int], None]) -> Never:
        """Call *moved* with the end of the log whenever that is beyond *head*, for ever."""
        ...


class Maintenance(Protocol):
    """The upkeep of a store that serves: it notices commands that wait for other processes."""

    @property
    def holds_up(self) -> bool:
        """Whether commands wait for another process, as far as it was reported."""
        ...

    def waited(self) -> int:
        """Return for how many microseconds commands wait; 0 unless that was reported."""
        ...

    def on_change(self, handler: Callable[[bool], None]) -> None:
        """Call *handler* when commands begin to wait, and when they go on."""
        ...

    async def run(self) -> Never:
        """Do the upkeep, for ever."""
        ...


class Store(NamedTuple):
    """One open log, by each of its ports."""

    storage: Storage
    log: EventLog
    views: Views
    changes: Changes
    maintenance: Maintenance


Progress = Callable[[int, int], None]
"""Called with how much of a task is done, and how much there is."""

Showing = Callable[[str], AbstractContextManager[Progress]]
"""Shows the progress of a task of this name."""


@contextmanager
def unseen(_: str) -> Iterator[Progress]:
    """Show nothing."""
    yield lambda _done, _of: None
