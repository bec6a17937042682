"""The findings of a check of a log, in words: the differences that every engine can have."""

from collections.abc import Iterable, Iterator
from typing import Final

from inventory_grpc.domain.event import Event
from inventory_grpc.domain.registry import SUBJECTS
from inventory_grpc.infrastructure.codec import UNREADABLE, decode
from inventory_grpc.infrastructure.log.states_json import dump_state

SHOWN: Final = 20
"""The most differences reported for each table."""


def broken_link(position: int) -> str:
    return f"event {position}: is missing, or breaks the hash chain"


def not_to_be_replayed(error: object) -> str:
    return f"the log cannot be replayed to its end: {error}"


def unlike(table: str, word: str, row: object) -> str:
    """Return the words for a row that the log does not give, or that is missing."""
    return f"{table}: {word} row {row}"


def without_event(table: str, row: object) -> str:
    """Return the words for a row whose number or position is not that of its event."""
    return f"{table}: no event begins {row}"


def of_request(actor: str, request_id: str, position: int, data: bytes | None) -> Iterator[str]:
    """Yield that a remembered request points to the event of another one, in *data*."""
    try:
        event = decode(data) if data else None
    except UNREADABLE:
        event = None  # the replay reports it
    asked = actor, request_id, position
    if event is None or asked != (
        event.cause.actor,
        event.cause.request_id,
        event.command_position,
    ):
        yield f"requests: {request_id} is not the request of event {position}"


def of_snapshot(subject: int, text: str, events: Iterable[Event]) -> Iterator[str]:
    """Yield that a snapshot differs from the fold of the *events* up to it."""
    if text != _folded(events):
        yield f"subject_snapshots: {subject} differs from the log"


def _folded(events: Iterable[Event]) -> str:
    try:
        folded = list(events)
    except UNREADABLE:
        return ""
    if not folded:
        return ""
    state = SUBJECTS[type(folded[0].fact.subject)]
    return dump_state(state.begin(folded[0]).evolve(folded))
