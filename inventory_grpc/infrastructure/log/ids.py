"""Keys as stored in the tables `streams` and `subjects`; this format never changes."""

from collections.abc import Mapping
from typing import Any, Final

from inventory_grpc.domain.event import Key
from inventory_grpc.domain.registry import NOUNS
from inventory_grpc.domain.values import ReservationId, StockId

KIND_OF_KEY: Final[Mapping[type[Any], int]] = {noun.key: noun.kind for noun in NOUNS}
KEY_OF_KIND: Final[Mapping[int, type[Any]]] = {noun.kind: noun.key for noun in NOUNS}
NAME_OF_KIND: Final[Mapping[type[Any], str]] = {noun.key: noun.name for noun in NOUNS}
KEY_OF_NAME: Final[Mapping[str, type[Any]]] = {noun.name: noun.key for noun in NOUNS}

STOCK: Final = KIND_OF_KEY[StockId]
RESERVATION: Final = KIND_OF_KEY[ReservationId]


def kind_and_name(key: Key) -> tuple[int, str]:
    """Return the kind of *key* and its name, unique within the kind since ids have no `@`."""
    name = "@".join(key) if isinstance(key, StockId) else str(key)
    return KIND_OF_KEY[type(key)], name


def stream_row(key: Key) -> tuple[int, str | None, str | None, str | None]:
    """Return the kind, id, product and store of *key*; a stock has no id, other keys only that."""
    if isinstance(key, StockId):
        return STOCK, None, *key
    return KIND_OF_KEY[type(key)], str(key), None, None


def subject_name(key: Key) -> str:
    """Return the `subject` field of events of a stream that is not a stock: kind and id."""
    return f"{NAME_OF_KIND[type(key)]}/{key}"


def key_of(subject: str) -> Key:
    """Return the key that *subject* names.

    Raises:
        KeyError: the kind is unknown.
    """
    kind, _, name = subject.partition("/")
    return KEY_OF_NAME[kind](name)
