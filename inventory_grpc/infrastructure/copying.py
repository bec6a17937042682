"""Copies a log from one database to another, of any engine: its events, hashes and request ids.

The read models of the copy are made of its events, as those of the original were. An unfinished
copy serves nobody. It is continued by the next call, whenever the last one was killed: what it has
is what is stored in it.

A copy is a log of its own with a new id, as a backup is. To move a log, its original is sealed
before the last events are copied, which refuses writes for good. Only then does the copy get the
id of the original: two places never go on under one name.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Final, NamedTuple, Protocol

from inventory_grpc.application.failpoints import reach
from inventory_grpc.application.store import ShowProgress, Unusable
from inventory_grpc.infrastructure.log.names import LogName, new_log_id
from inventory_grpc.infrastructure.log.replay import LogInconsistent, Row, broken_links

RequestRow = tuple[Any, ...]
"""Actor, request id, fingerprint, position, outcome and record time, as they are stored."""
WalkRow = tuple[Any, ...]
"""A row of the table `unsettled`: since, kind, name, product and store."""

CATCH_UPS: Final = 2
"""Copies of what was recorded during the one before, so that little is left to be copied while
nobody writes."""

_POSITION: Final = 3
"""The place of the position in the row of a request."""


class End(NamedTuple):
    """The last event of a log; in an empty one, position 0 and the first link of the chain."""

    position: int
    hash: bytes


class Source(Protocol):
    """A log that is copied."""

    @property
    def log_id(self) -> str: ...

    @property
    def create_time(self) -> int: ...

    def end(self) -> End: ...

    def first_link(self) -> bytes:
        """Return the begin of the hash chain: the id of the log that recorded the first event."""

    def pages(self, after: int, upto: int) -> Iterator[Sequence[Row]]:
        """Yield whole commands between two positions, in order."""

    def names(self) -> Sequence[LogName]:
        """Return the names that the log has had, oldest first; none if it does not keep them."""

    def requests(self) -> Iterator[Sequence[RequestRow]]:
        """Yield pages of all remembered requests, in the order of time."""

    def walks(self) -> Sequence[WalkRow]:
        """Return the walks of changed terms."""

    def one_state(self) -> AbstractContextManager[None]:
        """Have all reads in the `with` block see the same state."""

    def sealed(self) -> str | None:
        """Return the place where the log goes on, if it is sealed."""

    def seal(self, place: str) -> None:
        """Refuse all writes for good, also those of running servers, and name the new place.

        Raises:
            StorageError: the log may have lost events, which the copy has.
        """


class Target(Protocol):
    """A copy, finished or not."""

    @property
    def log_id(self) -> str:
        """The id of the copy if it is finished, else that of its original."""

    @property
    def is_finished(self) -> bool: ...

    def end(self) -> End: ...

    def append(self, page: Sequence[Row]) -> Iterator[str]:
        """Store events and update the read models, in one transaction; yield inconsistencies."""

    def requests(self, keys: Iterable[tuple[str, str]]) -> Mapping[tuple[str, str], RequestRow]:
        """Return the stored requests of these actors and ids."""

    def keep_requests(self, rows: Sequence[RequestRow]) -> None:
        """Store requests, in place of those with the same keys."""

    def keep_walks(self, rows: Sequence[WalkRow]) -> None:
        """Store the walks, in place of all others."""

    def check(self, progress: Callable[[int], None]) -> Iterator[str]:
        """Yield every difference between the events of the copy and its other tables."""

    def finish(self, log_id: str, create_time: int, names: Sequence[LogName]) -> None:
        """Give the copy its id and names, and let servers use it; a file does not keep names."""


class Copied(NamedTuple):
    log_id: str
    """Of the copy."""
    position: int


def copy(source: Source, target: Target, place: str | None, showing: ShowProgress) -> Copied:
    """Copy *source* to *target*; if it moves to a new *place*, seal it before the last events.

    Raises:
        Unusable: the target has another log, or the source was moved elsewhere.
        LogInconsistent: the source contradicts itself.
        StorageError: one of them has failed; call this again to continue.
    """
    _check_place(source, place)
    if target.is_finished:
        if place is None or target.log_id != source.log_id or source.sealed() is None:
            raise Unusable(f"there is a log already, {target.log_id}: copy to another place")
        return Copied(target.log_id, target.end().position)
    if target.log_id != source.log_id:
        raise Unusable(
            f"there is an unfinished copy of another log, {target.log_id}: copy to another place"
        )
    copying = _Copying(source, target, showing)
    copying.events()
    if place is not None:
        copying.requests()
        copying.check()
        for _ in range(CATCH_UPS):
            copying.events()
        source.seal(place)
        reach("copy_sealed")
    with source.one_state():
        copying.events()
        copying.requests()
        target.keep_walks(source.walks())
        if source.end() != target.end():
            raise LogInconsistent("the copy does not end as the original does")
    if place is None:
        copying.check()
    log_id = new_log_id() if place is None else source.log_id
    position = target.end().position
    # the names are those of the log that moves; a log of its own has none but its id
    target.finish(log_id, source.create_time, source.names() if place is not None else ())
    return Copied(log_id, position)


def _check_place(source: Source, place: str | None) -> None:
    moved_to = source.sealed()
    if place is not None and moved_to is not None and moved_to != place:
        raise Unusable(
            f"the log has moved: it goes on at {moved_to}, and cannot move to {place} as well; "
            "a copy without --seal is a log of its own"
        )


class _Copying:
    def __init__(self, source: Source, target: Target, showing: ShowProgress) -> None:
        self._source = source
        self._target = target
        self._showing = showing

    def events(self) -> None:
        """Copy all events that the source has now; it may record more meanwhile."""
        end, of_source = self._target.end(), self._source.end()
        head = of_source.position
        if head < end.position or (head == end.position > 0 and of_source != end):
            raise LogInconsistent(
                f"the copy has events up to {end.position} that the original lacks, such as after "
                "a failover or a restore: make another copy"
            )
        if not end.position:
            end = End(0, self._source.first_link())
        with self._showing("copying events") as progress:
            for page in self._source.pages(end.position, head):
                for position in broken_links(page, *end):
                    raise LogInconsistent(f"event {position}: is missing, or breaks the hash chain")
                for misfit in self._target.append(page):
                    raise LogInconsistent(misfit)
                end = End(*page[-1][:2])
                progress(end.position, head)
                reach("copy_step")

    def requests(self) -> None:
        """Copy the requests that the target lacks, up to its end."""
        end = self._target.end().position
        with self._showing("copying requests") as progress:
            done = 0
            for page in self._source.requests():
                if all(row[_POSITION] > end for row in page):
                    return  # those that were made meanwhile are copied with their events
                known = self._target.requests(row[:2] for row in page)
                new = [row for row in page if row[_POSITION] <= end and known.get(row[:2]) != row]
                if new:
                    self._target.keep_requests(new)
                done += len(page)
                progress(done, done)
                reach("copy_requests")

    def check(self) -> None:
        """Check every table of the copy."""
        end = self._target.end().position
        with self._showing("checking the copy") as progress:
            for difference in self._target.check(lambda position: progress(position, end)):
                raise LogInconsistent(f"the copy differs from its events: {difference}")
        reach("copy_checked")
