"""Checks that the log is what was written, by the hashes that chain its events."""

from collections.abc import Iterator

import apsw

from inventory_grpc.application.ports import Fault, StorageError
from inventory_grpc.infrastructure.log.chain import link
from inventory_grpc.infrastructure.sqlite.events import first_link, read_head


def check_tail(connection: apsw.Connection, length: int) -> None:
    """Check the last *length* links of the chain.

    Raises:
        StorageError: one of them does not hold.
    """
    for position in broken_links(connection, max(0, read_head(connection) - length)):
        raise StorageError(
            Fault.DAMAGED, detail=f"event {position} is missing, or not what was chained"
        )


def broken_links(connection: apsw.Connection, after: int, upto: int | None = None) -> Iterator[int]:
    """Yield the positions after *after* that are missing, or whose hash is not the right one."""
    previous: bytes | None
    if after:
        previous = connection.execute("SELECT hash FROM events WHERE position = ?", (after,)).get
    else:
        previous = first_link(connection)
    expected = after + 1
    for position, event, digest in connection.execute(
        "SELECT position, event, hash FROM events WHERE position > ? AND position <= ? "
        "ORDER BY position",
        (after, 2**62 if upto is None else upto),
    ):
        yield from range(expected, position)
        if position == expected and not _holds(previous, event, digest):
            yield position
        expected, previous = position + 1, digest


def _holds(previous: object, event: object, digest: object) -> bool:
    """Tell whether the link holds; in damaged pages there may be anything instead of bytes."""
    return (
        isinstance(previous, bytes) and isinstance(event, bytes) and link(previous, event) == digest
    )
