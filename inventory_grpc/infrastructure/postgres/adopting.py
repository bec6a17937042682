"""Gives a log another name after a failover or a restore, so that servers may write to it again.

Positions up to the end of the log keep their meaning under the new name. Those beyond it, which may
have been lost, are refused under the old one.
"""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Final, NamedTuple

from inventory_grpc.application.failpoints import reach
from inventory_grpc.application.store import Unusable
from inventory_grpc.domain.values import Instant
from inventory_grpc.infrastructure.log.names import new_log_id
from inventory_grpc.infrastructure.postgres import log_names, place, seal
from inventory_grpc.infrastructure.postgres.events import TAIL, read_log_id, tail_of
from inventory_grpc.infrastructure.postgres.faults import failures_in_words
from inventory_grpc.infrastructure.postgres.first_trip import LOCK
from inventory_grpc.infrastructure.postgres.opening import check_log
from inventory_grpc.infrastructure.postgres.place import Move, Place
from inventory_grpc.infrastructure.postgres.server import Server, lock_key
from inventory_grpc.infrastructure.postgres.statement import Statement
from inventory_grpc.infrastructure.postgres.wire import Wire

SECONDS: Final = 15.0
"""The time for the COMMIT, which may wait for a synchronous standby."""

_BEGIN: Final = Statement("BEGIN")


class Found(NamedTuple):
    """A log at the place that it has moved to."""

    log_id: str
    head: int
    time: Instant
    """Of the last event."""
    former: Place | None
    place: Place


class Adopted(NamedTuple):
    log_id: str
    head: int


class Adoption:
    """A connection to a log, which may be adopted."""

    def __init__(self, wire: Wire, url: str) -> None:
        self._wire = wire
        if (error := seal.refusal(wire)) is not None:
            raise Unusable(f"{error}: adopt it there")
        if not log_names.are_kept(wire):
            raise Unusable(f"the log at {url} has no tables of names: run `inventory-grpc migrate`")
        self._place = place.place_of(wire)
        self.found = self._find()

    def _find(self) -> Found:
        log_id = read_log_id(self._wire)
        tail = tail_of(self._wire.query(TAIL), log_id)
        former = place.kept_place(self._wire)
        return Found(log_id, tail.position, tail.record_time, former, self._place)

    def why(self, *, restored: bool) -> str:
        """Return why the log is to be adopted; *restored* is what the operator says.

        Raises:
            Unusable: it need not be.
        """
        found = self.found
        move = found.place.move_from(found.former or found.place)
        why: str = move.value
        if restored:
            return why or "restored, as the operator says"
        if move is Move.NOT_TOLD:
            raise Unusable(f"{why}: {place.GRANT}; to adopt the log now, use --restored")
        if move is Move.NONE:
            raise Unusable(
                f"nothing is to be adopted: log {found.log_id} is where it was, at {found.place}; "
                "if PostgreSQL was restored from a copy of its files, use --restored"
            )
        return why

    def adopt(self, why: str) -> Adopted:
        """Give the log a new name from its end on, in one transaction under its lock.

        Raises:
            Unusable: somebody else has adopted it.
            StorageError: PostgreSQL has failed; unless it failed while committing, nothing is
                changed.
        """
        wire, found = self._wire, self.found
        wire.run([_BEGIN.bind(), LOCK.bind(key=lock_key(found.log_id))])
        if self._find()._replace(head=found.head, time=found.time) != found:
            raise Unusable("the log has changed meanwhile: run this again")
        log_id = new_log_id()
        wire.run([*log_names.add(log_id, why), *place.keep(self._place)])
        reach("adopt_before_commit")
        wire.commit([], SECONDS)
        reach("adopt_after_commit")
        return Adopted(log_id, log_names.names_of(wire)[-1].after_position)


@contextmanager
def adoption(url: str) -> Iterator[Adoption]:
    """Connect to a log that may be adopted.

    Raises:
        Unusable: there is none, it has moved, or the role may not change it.
        StorageError: PostgreSQL cannot be reached, or has failed.
    """
    server = Server(url)
    check_log(server)
    with failures_in_words(), closing(server.writer()) as wire:
        yield Adoption(wire, url)
