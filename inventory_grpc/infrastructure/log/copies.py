"""The rows to insert for events that are copied from another log."""

from collections.abc import Sequence
from typing import Any, Final

from inventory_grpc.infrastructure.log.ids import STOCK
from inventory_grpc.infrastructure.log.replay import Row

Inserted = tuple[Any, ...]

_KIND_OF_STREAM: Final = 11
"""The place of the kind of its stream in the row of an event."""


def stream_rows(page: Sequence[Row]) -> list[Inserted]:
    """Return the streams that these events begin: number, kind, id, product and store."""
    return [
        (stream, *names[:4])
        for _, _, _, _, stream, version, _, _, _, _, _, *names in page
        if version == 1
    ]


def subject_rows(page: Sequence[Row]) -> list[Inserted]:
    """Return the subjects that these events are the first about: number, kind and name."""
    return [
        (subject, *names)
        for position, _, _, _, _, _, _, _, subject, _, _, _, _, _, _, _, *names in page
        if subject == position
    ]


def are_of_stocks(page: Sequence[Row]) -> list[bool]:
    """Return whether these events are of stocks."""
    return [row[_KIND_OF_STREAM] == STOCK for row in page]


def event_rows(page: Sequence[Row]) -> list[Inserted]:
    """Return the events, as `chained` has them."""
    return [
        (position, *keys[:5], data, digest, alerts)
        for position, digest, data, _, *keys, _, alerts, _, _, _, _, _, _, _ in page
    ]
