"""The table of nouns. A new noun adds its line to `NOUNS`."""

from collections.abc import Mapping
from typing import Any, Final

from inventory_grpc.domain import reservation, stock
from inventory_grpc.domain.book import Noun, StreamState, SubjectState
from inventory_grpc.domain.event import Fact

NOUNS: Final[tuple[Noun, ...]] = (
    stock.NOUN,
    reservation.NOUN,
)

STREAMS: Final[Mapping[type[Any], type[StreamState]]] = {
    noun.key: noun.stream for noun in NOUNS if noun.stream is not None
}
"""The state of a stream, by the class of its key."""

SUBJECTS: Final[Mapping[type[Any], type[SubjectState]]] = {
    noun.key: noun.subject for noun in NOUNS if noun.subject is not None
}
"""The state of a subject, by the class of its key."""

FACTS: Final[tuple[type[Fact], ...]] = tuple(fact for noun in NOUNS for fact in noun.facts)
