"""Is the log what was written?"""

from collections.abc import Iterator

import apsw

from inventory_grpc.application.ports import Fault, StorageError
from inventory_grpc.infrastructure.sqlite.events import link, read_head


def check_tail(connection: apsw.Connection, log_id: str, length: int) -> None:
    """Check the last *length* links of the chain.

    Raises:
        StorageError: one of them does not hold.
    """
    for _ in broken_links(connection, log_id, max(0, read_head(connection) - length)):
        raise StorageError(Fault.DAMAGED)


def broken_links(
    connection: apsw.Connection, log_id: str, after: int, upto: int | None = None
) -> Iterator[int]:
    """Yield the positions after *after* that are missing, or whose hash is not the right one."""
    previous: bytes | None = log_id.encode()
    if after:
        previous = connection.execute("SELECT hash FROM events WHERE position = ?", (after,)).get
    expected = after + 1
    for position, event, digest in connection.execute(
        "SELECT position, event, hash FROM events WHERE position > ? AND position <= ? "
        "ORDER BY position",
        (after, 2**62 if upto is None else upto),
    ):
        yield from range(expected, position)
        if position == expected and (previous is None or link(previous, event) != digest):
            yield position
        expected, previous = position + 1, digest
