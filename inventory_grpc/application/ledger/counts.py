"""Counts of the work that the ledger has done since the start."""

from collections import Counter
from collections.abc import Sequence
from enum import Enum
from typing import Any

from inventory_grpc.application.ledger.atomic import AnyCommand
from inventory_grpc.application.ledger.mailbox import Answer
from inventory_grpc.application.ledger.unread import Refused
from inventory_grpc.application.outcomes import Outcome
from inventory_grpc.application.tally import SIZES, Tally
from inventory_grpc.domain.event import Event


class Work(Enum):
    """The kinds of transactions."""

    COMMANDS = "commands"
    EXPIRY = "expiry"
    FILLS = "fills"
    WALKS = "walks"
    FORGETTING = "forgetting"


class LedgerCounts:
    """Counts commands, events and transactions."""

    def __init__(self) -> None:
        self.commands: Counter[tuple[type[AnyCommand], bool | type[Any]]] = Counter()
        """By command, and by its refusal; an outcome counts by whether it was replayed."""
        self.recorded: Counter[type[Any]] = Counter()
        """Events by fact."""
        self.seconds = {kind: Tally() for kind in Work}
        """With the sync in them, also of transactions that failed."""
        self.transaction_commands = Tally(SIZES)

    def answered(self, commands: Sequence[AnyCommand], answers: Sequence[Answer]) -> None:
        self.commands.update(
            [
                (type(command), answer.replayed if type(answer) is Outcome else type(answer))
                for command, answer in zip(commands, answers, strict=False)
                if type(command) is not Refused
            ]
        )

    def published(self, events: Sequence[Event]) -> None:
        self.recorded.update([type(event.fact) for event in events])
