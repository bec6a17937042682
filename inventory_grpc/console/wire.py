"""The JSON of the console: events, refusals, and the messages of an event stream."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from google.protobuf.message import Message

from inventory_grpc.client import (
    DeadlineExceeded,
    InventoryError,
    NotProcessed,
    PermissionDenied,
    Refused,
    ReservationNotFound,
    StockNotFound,
    SubjectNotFound,
    Unauthenticated,
    Unavailable,
    VersionConflict,
)
from inventory_grpc.client.plain import fact_of, plain

_STATUS: Final[Mapping[type[InventoryError], int]] = {
    Unauthenticated: 401,
    PermissionDenied: 403,
    StockNotFound: 404,
    SubjectNotFound: 404,
    ReservationNotFound: 404,
    VersionConflict: 409,
    Refused: 422,
    NotProcessed: 503,
    Unavailable: 502,
    DeadlineExceeded: 504,
}
"""The first that an error is one of counts."""


def dumps(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def status_of(error: InventoryError) -> int:
    return next((status for kind, status in _STATUS.items() if isinstance(error, kind)), 500)


def refusal(error: InventoryError) -> dict[str, Any]:
    return {
        "reason": error.reason or error.code.name,
        "message": error.message,
        "in_doubt": error.in_doubt,
    }


def event_of(event: Any) -> dict[str, Any]:  # noqa: ANN401  the client does not export messages
    """Return *event* without its empty fields, and with its fact under one name.

    An event of this size is sent to each open page, so it has only what pages show.
    """
    shown: dict[str, Any] = {
        "position": event.position,
        "type": fact_of(event),
        "time": event.record_time.ToJsonString(),
    }
    for name in _TEXTS:
        if value := getattr(event, name):
            shown[name] = value
    if event.HasField("after"):
        shown["after"] = _levels_of(event.after)
    if name := event.WhichOneof("fact"):
        shown["fact"] = _set_fields_of(getattr(event, name))
    return shown


_TEXTS: Final = (
    "product_id",
    "store_id",
    "version",
    "actor",
    "reason",
    "reference",
    "request_id",
    "subject",
    "reverses",
)
_LEVELS: Final = ("on_hand", "reserved", "available")


def _levels_of(levels: Message) -> dict[str, Any]:
    """Return the levels of nearly all stocks, and those others that are not 0."""
    return {name: getattr(levels, name) for name in _LEVELS} | _set_fields_of(levels)


def _set_fields_of(message: Message) -> dict[str, Any]:
    if any(field.message_type or field.enum_type for field, _ in message.ListFields()):
        return plain(message)
    return {field.name: value for field, value in message.ListFields()}


def streamed(kind: str, data: Mapping[str, Any], position: int | None = None) -> bytes:
    """Return a message of an event stream. A browser that reconnects names its last position."""
    return _message(kind, dumps(data), position)


def streamed_events(state: Mapping[str, Any], events: Sequence[str], position: int) -> bytes:
    """Return a message with *events*, which are encoded."""
    return _message("events", f'{dumps(state)[:-1]},"events":[{",".join(events)}]}}', position)


def _message(kind: str, data: str, position: int | None) -> bytes:
    number = "" if position is None else f"id: {position}\n"
    return f"{number}event: {kind}\ndata: {data}\n\n".encode()
