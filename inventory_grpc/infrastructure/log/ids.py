"""How a key stands in the tables `streams` and `subjects`: its kind, its name, its place.

All of it is stored for ever. A new class of key gets the next number, here and in `log.sql`.
"""

from collections.abc import Mapping
from typing import Any, Final

from inventory_grpc.domain.event import Key
from inventory_grpc.domain.values import ReservationId, StockId

KIND_OF_KEY: Final[Mapping[type[Any], int]] = {StockId: 1, ReservationId: 2}

STOCK: Final = KIND_OF_KEY[StockId]
RESERVATION: Final = KIND_OF_KEY[ReservationId]


def stored(key: Key) -> tuple[int, str]:
    """Return the kind of *key* and its name, which no other of its kind has: ids have no `@`."""
    name = "@".join(key) if isinstance(key, StockId) else str(key)
    return KIND_OF_KEY[type(key)], name


def stream_row(key: Key) -> tuple[int, str | None, str | None, str | None]:
    """Return the kind of *key*, the id that it has of its own, its product and its store."""
    if isinstance(key, StockId):
        return STOCK, None, *key
    return KIND_OF_KEY[type(key)], str(key), None, None
