"""The log as this server has seen it: readers and followers have it, so it must stay as it is."""

from collections.abc import Sequence
from typing import Final

from inventory_grpc.application.ports import Fault, StorageError
from inventory_grpc.domain.values import Instant
from inventory_grpc.infrastructure.log.chain import Tail
from inventory_grpc.infrastructure.postgres import log_names
from inventory_grpc.infrastructure.postgres.events import HASH, LOG_ID
from inventory_grpc.infrastructure.postgres.migrations import check_served
from inventory_grpc.infrastructure.postgres.statement import Statement
from inventory_grpc.infrastructure.postgres.wire import Row, Wire

NEWS: Final = Statement(
    "SELECT position, hash, event FROM events WHERE position >= $known::int8 "
    "ORDER BY position LIMIT $limit::int8"
)
_ID: Final = LOG_ID.bind()
_FORMAT: Final = Statement("SELECT format FROM log WHERE one = 1").bind()


class SeenLog:
    """The id of the log, and its end as it was last seen; every connection must lead to it.

    If the log has a new id, and nothing is lost that was seen, it is the id from then on.
    """

    def __init__(self) -> None:
        self.log_id = ""
        self.tail = Tail(0, b"", Instant(0))

    def advance(self, tail: Tail) -> None:
        """Note that the log was seen up to *tail*."""
        if tail.position > self.tail.position:
            self.tail = tail

    def check(self, wire: Wire) -> None:
        """Check that a new connection leads to this log, with all that was seen of it.

        Raises:
            StorageError: it leads to another one, or commits were lost.
        """
        known = self.tail
        ids, hashes, formats = wire.run([_ID, HASH.bind(position=known.position), _FORMAT])
        if not ids:
            raise StorageError(Fault.DAMAGED, detail="the table log has no row")
        check_served(formats[0][0])
        [(log_id,)] = ids
        if self.log_id not in {"", log_id} and log_names.end_of(wire, self.log_id) is None:
            raise StorageError(
                Fault.REWOUND, detail=f"PostgreSQL has the log {log_id}, and had {self.log_id}"
            )
        if known.position and hashes != [(known.hash,)]:
            raise _lost(known)
        self.log_id = log_id


def news_after(rows: Sequence[Row], known: Tail) -> list[bytes]:
    """Return the events after the *known* end of the log, which must be in the first row.

    Raises:
        StorageError: the log ends before it, or has another event there.
    """
    if known.position:
        if not rows or rows[0][:2] != (known.position, known.hash):
            raise _lost(known)
        rows = rows[1:]
    return [event for _, _, event in rows]


def _lost(known: Tail) -> StorageError:
    return StorageError(
        Fault.REWOUND,
        detail=f"PostgreSQL has not the event {known.position} that was read before: "
        "commits were lost, such as by a failover to a server that had not received them",
    )
