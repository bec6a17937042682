"""A store: the ports that a storage engine implements, and the options for opening it."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from enum import Enum
from typing import NamedTuple, Never, Protocol

from inventory_grpc.application.ledger.head import Head
from inventory_grpc.application.ports import Storage, StorageError, Views
from inventory_grpc.application.queries.events import EventLog
from inventory_grpc.application.tally import Tally


class Durability(Enum):
    """The durability of a command when it is answered."""

    FULL = "full"
    """It is synced to disk, and survives a crash of the process or the system, or a power cut."""
    RELAXED = "relaxed"
    """It survives a crash of the process. A power cut may lose the last seconds."""


class Unusable(Exception):
    """The database is not one of this program's, or cannot be used as it is; it was not changed."""


class Changes(Protocol):
    """Notification of events that other processes record in the same log."""

    async def watch(self, head: Head, moved: Callable[[int], None]) -> Never:
        """Call *moved* with the end of the log whenever it is beyond *head*."""


class Maintenance(Protocol):
    """Monitoring of an open store: it detects commands that are blocked by other processes."""

    @property
    def blocks_commands(self) -> bool:
        """Whether commands have waited for another process for too long."""

    def waited(self) -> int:
        """Return for how many microseconds commands have waited; 0 unless `blocks_commands`."""

    def on_change(self, handler: Callable[[bool], None]) -> None: ...

    async def run(self) -> Never: ...


class Disk(NamedTuple):
    """The bytes that are free on a disk, and all of them."""

    free: int
    size: int


class Footprint(Protocol):
    """The disk space of an open store. Reads may block, so a thread of its own makes them."""

    @property
    def checkpoint_seconds(self) -> Tally:
        """The durations of all checkpoints."""
        ...

    @property
    def engine(self) -> str:
        """The version of the storage engine."""
        ...

    def sizes(self) -> Mapping[str, int]:
        """Return the bytes of each part of the database."""
        ...

    def disk(self) -> Disk | None:
        """Return the space of the disk; None if that cannot be read."""


class ReadLog(NamedTuple):
    """A log that is opened for reading only."""

    log: EventLog
    changes: Changes
    was_replaced: Callable[[], bool] | None = None
    """Whether a file at rest is another one now; None for a log that can grow."""


class Store(NamedTuple):
    """The ports of one open log."""

    storage: Storage
    log: EventLog
    views: Views
    changes: Changes
    maintenance: Maintenance
    footprint: Footprint
    refused: StorageError | None = None
    """The reason why nothing may be written, if it was known when the log was opened."""


Progress = Callable[[int, int], None]
"""Called with the amount done and the total of a task."""

ShowProgress = Callable[[str], AbstractContextManager[Progress]]
"""Shows the progress of a task of this name."""


@contextmanager
def without_progress(_: str) -> Iterator[Progress]:
    """Show nothing."""
    yield lambda _done, _of: None
