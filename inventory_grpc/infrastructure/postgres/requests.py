"""The table of answered requests: its columns, and how it is looked up."""

from collections.abc import Mapping
from typing import Final

from inventory_grpc.infrastructure.postgres.statement import Statement

COLUMNS: Final[Mapping[str, str]] = {
    "actor": "text",
    "request_id": "text",
    "fingerprint": "bytea",
    "position": "int8",
    "outcome": "text",
    "record_time": "int8",
}

ANSWERED: Final = Statement(
    f"SELECT {', '.join(COLUMNS)} "
    "FROM unnest($actors::text[], $ids::text[]) AS wanted (actor, request_id) "
    "JOIN requests USING (actor, request_id)"
)
