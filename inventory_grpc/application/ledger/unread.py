"""Commands of a message that are read when the writer comes to them, on the writer's thread.

A thread that reads and another one that decides compete for the interpreter, and the objects of
each are in the other's processor cache. Measured in turns, a command in bulk takes 7 % less
processor time than if the event loop reads it.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, overload

from inventory_grpc.application.ledger.submission import Submission
from inventory_grpc.domain.book import Book
from inventory_grpc.domain.event import Change
from inventory_grpc.domain.refusals import Refusal
from inventory_grpc.domain.values import immutable

Read = Callable[[Any], Submission]
"""Reads one command from its request. It never raises."""


@immutable
class Unreadable:
    """Stands for a command that was refused when it was read; deciding it raises the refusal."""

    refusal: Refusal
    touches: Sequence[Any] = ()
    about: None = None

    def decide(self, book: Book) -> Sequence[Change]:  # noqa: ARG002  as other commands
        raise self.refusal


class Unread(Sequence[Submission]):
    """Submissions that are read together, when the first of them is needed."""

    def __init__(self, requests: Sequence[Any], read: Read) -> None:
        self._requests = requests
        self._read = read
        self._places = range(len(requests))
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
        part = Unread((), self._read)
        part._requests, part._places = self._requests, self._places[place]
        return part

    def __iter__(self) -> Iterator[Submission]:
        return iter(self._all())

    def _all(self) -> Sequence[Submission]:
        if self._submissions is None:
            first, after = self._places.start, self._places.stop
            self._submissions = [*map(self._read, self._requests[first:after])]
            self._requests = ()
        return self._submissions
