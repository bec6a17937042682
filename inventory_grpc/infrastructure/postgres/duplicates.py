"""Violations of unique keys, by which PostgreSQL refuses a writer that does not hold the lock."""

from typing import Final

from inventory_grpc.application.ports import StorageError
from inventory_grpc.infrastructure.log.recent import Recent
from inventory_grpc.infrastructure.postgres.wire import Failed

MOST: Final = 100
"""The violations that are remembered."""

UNIQUE_VIOLATION: Final = "23505"


class Duplicates:
    """The violations that were seen."""

    def __init__(self) -> None:
        self._seen: Recent[str, None] = Recent(MOST)

    def note(self, error: StorageError) -> None:
        """Let the second violation of the same unique key through as a bug.

        The first one may come from a writer without the lock, whose rows are read the next time.

        Raises:
            Failed: it is the second one.
        """
        cause = error.__cause__
        if isinstance(cause, Failed) and cause.state == UNIQUE_VIOLATION:
            if str(cause) in self._seen:
                raise cause
            self._seen.put(str(cause), None)
