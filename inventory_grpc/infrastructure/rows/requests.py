"""Rows of answered requests."""

from collections.abc import Iterable
from typing import Any

from inventory_grpc.application.outcomes import Answered, RequestKey
from inventory_grpc.domain.values import Instant
from inventory_grpc.infrastructure.log.states_json import dump_outcome, load_outcome

Row = tuple[Any, ...]


def rows_of(answered: Iterable[tuple[RequestKey, Answered]]) -> list[Row]:
    """Return the rows of answers: actor, id, fingerprint, position, outcome, record time."""
    return [
        (
            actor,
            request_id,
            fingerprint,
            position,
            dump_outcome(outcome) if outcome else None,
            record_time,
        )
        for (actor, request_id), (fingerprint, position, outcome, record_time) in answered
    ]


def answered_of(row: Row) -> tuple[RequestKey, Answered]:
    """Return the answer in a row."""
    actor, request_id, fingerprint, position, text, record_time = row
    outcome = load_outcome(text) if text else None
    answered = Answered(fingerprint, position, outcome, Instant(record_time))
    return RequestKey(actor, request_id), answered
