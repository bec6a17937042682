"""The table of nouns. A new noun adds its line to `NOUNS`."""

from collections.abc import Mapping
from typing import Any, Final

from inventory_grpc.domain import policy, product, reservation, stock, store
from inventory_grpc.domain.book import Noun, StreamState, SubjectState
from inventory_grpc.domain.event import Fact, SubjectKey
from inventory_grpc.domain.reversal import Trail
from inventory_grpc.domain.values import EventAt

NOUNS: Final[tuple[Noun, ...]] = (
    stock.NOUN,
    reservation.NOUN,
    product.NOUN,
    store.NOUN,
    policy.NOUN,
)

STREAMS: Final[Mapping[type[Any], type[StreamState]]] = {
    noun.key: noun.stream for noun in NOUNS if noun.stream is not None
}
"""The state of a stream, by the class of its key."""

WHOLE: Final = frozenset(noun.key for noun in NOUNS if noun.is_whole)
"""The classes of keys of streams whose facts have all of the state."""

SUBJECTS: Final[Mapping[type[Any], type[SubjectState]]] = {
    noun.key: noun.subject for noun in NOUNS if noun.subject is not None
}
"""The state of a subject, by the class of its key."""

ABOUT: Final[Mapping[type[Any], type[SubjectState | Trail]]] = {**SUBJECTS, EventAt: Trail}
"""The state of an object that a command can be about, by the class of its key."""

FACTS: Final[tuple[type[Fact], ...]] = tuple(fact for noun in NOUNS for fact in noun.facts)

SUBJECT_KEYS: Final[Mapping[str, type[SubjectKey]]] = {
    noun.name: noun.key for noun in NOUNS if issubclass(noun.key, SubjectKey)
}
"""The keys of streams that are not stocks, by the kind in `<kind>/<id>`."""
