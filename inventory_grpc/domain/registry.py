"""The nouns that the service knows: each stream, each subject, and the facts of both.

The class of a key says whose state it names. A new noun adds its lines here.
"""

from collections.abc import Mapping
from typing import Any, Final

from inventory_grpc.domain import reservation, stock
from inventory_grpc.domain.book import StreamState, SubjectState
from inventory_grpc.domain.event import Fact
from inventory_grpc.domain.values import ReservationId, StockId

STREAMS: Final[Mapping[type[Any], type[StreamState]]] = {StockId: stock.Inventory}
"""The state of a stream, by the class of its key."""

SUBJECTS: Final[Mapping[type[Any], type[SubjectState]]] = {ReservationId: reservation.Reservation}
"""The state of a subject, by the class of its key."""

FACTS: Final[tuple[type[Fact], ...]] = (*stock.FACTS, *reservation.FACTS)
