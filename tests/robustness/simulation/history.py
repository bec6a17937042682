"""Requests and answers of a simulation, with caller and time."""

from dataclasses import dataclass, field
from typing import NamedTuple

from inventory_grpc.application.outcomes import Outcome
from inventory_grpc.domain.book import Command
from inventory_grpc.domain.refusals import Refusal


@dataclass(frozen=True, slots=True)
class Faulty:
    """A command without a decider: a bug in the middle of a batch of others."""


class Doubt(NamedTuple):
    """No answer, or one that leaves the outcome unknown."""

    why: str


@dataclass(slots=True)
class Attempt:
    """One sending of a request; its tag is in the events, should it be what records them."""

    tag: str
    process: str
    called: int
    called_at: float
    head_before: int
    """The head of the log when it was sent."""
    base: int = 0
    """The lead of the process's time over the loop's."""
    deadline: float | None = None
    returned: int = 0
    head_after: int = 0
    answer: Outcome | Refusal | TimeoutError | Doubt | None = None
    split: bool = False
    """Whether the process had to give commands of a faulty batch their own transactions."""


@dataclass(slots=True)
class Asked:
    """One logical request."""

    request_id: str
    command: Command | Faulty
    attempts: list[Attempt] = field(default_factory=list)

    @property
    def outcome(self) -> Outcome | None:
        """The first answer that says that it is done."""
        answers = (attempt.answer for attempt in self.attempts)
        return next((answer for answer in answers if isinstance(answer, Outcome)), None)


class Read(NamedTuple):
    """An answer to a reader."""

    what: str
    key: object
    shown: object
    as_of: int
    at_least: int
    """The position that the answer had to reach."""
