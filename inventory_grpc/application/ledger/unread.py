"""Commands of a message that are read when the writer comes to them, on the writer's thread.

A thread that reads and another one that decides compete for the interpreter, and the objects of
each are in the other's processor cache. Measured in turns, a command in bulk takes 7 % less
processor time than if the event loop reads it.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any, Final, overload

from inventory_grpc.application.ledger.submission import Submission
from inventory_grpc.domain.book import Book
from inventory_grpc.domain.event import Change, Key
from inventory_grpc.domain.refusals import Refusal

Reader = Callable[[Any], Submission]
"""Reads one command from its request.

It never raises, and has no state: the event loop may read one part of a message, to refuse it,
while the writer's thread reads another.
"""


class Refused:
    """Stands for a command that was refused when it was read; deciding it raises the refusal."""

    __slots__ = ("refusal",)

    touches: Final[Collection[Key]] = ()
    about: Final[Key | None] = None

    def __init__(self, refusal: Refusal) -> None:
        self.refusal = refusal

    def decide(self, book: Book) -> Sequence[Change]:  # noqa: ARG002  as other commands
        raise self.refusal


class Unread(Sequence[Submission]):
    """Submissions that are read together, when one of them is needed; a part is read alone."""

    def __init__(self, requests: Sequence[Any], read: Reader, places: range | None = None) -> None:
        self._requests = requests
        self._read = read
        self._places = range(len(requests)) if places is None else places
        assert self._places.step == 1, "a part is of requests that follow each other"
        self._submissions: Sequence[Submission] | None = None

    def __len__(self) -> int:
        return len(self._places)

    @overload
    def __getitem__(self, place: int) -> Submission: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[Submission]: ...
    def __getitem__(self, place: int | slice) -> Submission | Sequence[Submission]:
        if isinstance(place, int) or self._submissions is not None:
            return self._all()[place]
        return Unread(self._requests, self._read, self._places[place])

    def __iter__(self) -> Iterator[Submission]:
        return iter(self._all())

    def _all(self) -> Sequence[Submission]:
        if self._submissions is None:
            first, after = self._places.start, self._places.stop
            self._submissions = [*map(self._read, self._requests[first:after])]
            self._requests = ()  # which keep the message
        return self._submissions
