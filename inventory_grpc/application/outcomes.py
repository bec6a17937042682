"""The answers to commands, and what is stored of them in order to repeat them."""

from collections.abc import Sequence
from typing import Any, NamedTuple, Self

from inventory_grpc.domain.event import Event, Key
from inventory_grpc.domain.values import Instant

State = Any
"""The state of a stream or subject; `domain.registry` maps the class of its key to its class."""


class PartOutcome(NamedTuple):
    """The answer to one command of an atomic batch.

    It has no states: a thousand commands on one large reservation would have all of it, and of
    its stocks, a thousand times.
    """

    version: int = 0
    """The version of the first stream that it changed, or that already was as requested."""
    subject: Key | None = None
    """The subject of a command on one, in place of a version."""

    @classmethod
    def of(cls, events: Sequence[Event]) -> Self:
        """Return the answer to the command that recorded *events*."""
        for event in events:
            if (subject := event.fact.subject) is not None:
                return cls(subject=subject)
        first = events[0].key
        return cls(max(event.version for event in events if event.key == first))


class Outcome(NamedTuple):
    """The answer to a command; a repeated request gets the same one."""

    position: int
    """The position of the command's last event, or the head of the log if it recorded none."""
    streams: Sequence[State]
    """The states of the streams that it changed, or that already were as requested."""
    subjects: Sequence[State]
    replayed: bool = False
    parts: Sequence[PartOutcome] = ()
    """The answers to the commands of an atomic batch; the batch itself has no states then."""


class DryRun(Outcome):
    """The answer to a dry run: the outcome that its command would have, at the head of the log."""

    __slots__ = ()


class RequestKey(NamedTuple):
    """The key of a request; each actor has a separate set of ids."""

    actor: str
    request_id: str


class Answered(NamedTuple):
    """A stored request, with the data to repeat its answer."""

    fingerprint: bytes
    position: int
    """The position of its first event, from which the answer is rebuilt, or the former head."""
    outcome: Outcome | None
    """The answer itself, for a request without events."""
    record_time: Instant
