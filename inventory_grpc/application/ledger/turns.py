"""Parts of the ledger's turns: answering many commands in one transaction, expiring what is due."""

from collections.abc import Sequence
from typing import Final

from inventory_grpc.application.failures import OutcomeUnknown
from inventory_grpc.application.ledger.batch import Batch
from inventory_grpc.application.ledger.circuit_breaker import refusal_of
from inventory_grpc.application.ledger.mailbox import Entry
from inventory_grpc.application.ledger.writer import Answers
from inventory_grpc.application.ports import StorageError
from inventory_grpc.domain.refusals import Refusal

MAX_EVENTS: Final = 2_048
"""Events in a batch, and at most one command more."""

RETRY_SECONDS: Final = 0.5
"""When to send a command again that storage did not take."""


def answer_all(entries: Sequence[Entry], batch: Batch) -> Answers:
    """Answer as many as fit in one transaction, in order."""
    answers: Answers = []
    batch.expect((entry.command, entry.request) for entry in entries)
    for entry in entries:
        if batch.added >= MAX_EVENTS:
            break
        try:
            answers.append(batch.answer(entry.command, entry.request))
        except Refusal as refusal:
            # With its traceback it would keep this frame, and so every answer and command of
            # the batch, until the garbage collector comes by: megabytes for each message.
            answers.append(refusal.with_traceback(None))
    return answers


def expire_due(batch: Batch) -> Answers:
    """Expire what is due, one step."""
    batch.expire_due()
    return []


def refusal_for(entry: Entry, error: StorageError) -> Refusal:
    """Return what to tell a caller whose batch failed; none of it is acknowledged."""
    if error.committing:
        return OutcomeUnknown(entry.request.cause.request_id)
    return refusal_of(error, RETRY_SECONDS)
