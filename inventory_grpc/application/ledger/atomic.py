"""Commands that are recorded together, as one command, or not at all."""

from collections.abc import Collection, Sequence
from typing import Final, NamedTuple, TypeAlias

from inventory_grpc.domain.book import Command
from inventory_grpc.domain.event import Cause, Key

MAX_EVENTS: Final = 500
"""Events of an atomic batch, as of any command."""


class Part(NamedTuple):
    """One command of an atomic batch; its cause has its number."""

    command: Command
    cause: Cause


class AtomicBatch(NamedTuple):
    """Commands of one caller; each is decided on the states that the ones before it made."""

    parts: Sequence[Part]

    @property
    def touches(self) -> Collection[Key]:
        return dict.fromkeys(key for part in self.parts for key in part.command.touches)


AnyCommand: TypeAlias = Command | AtomicBatch
