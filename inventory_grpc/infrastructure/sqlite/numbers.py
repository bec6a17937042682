"""By which number is a stock known in the file, or a reservation?"""

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Final

import apsw
from orjson import loads

from inventory_grpc.application.ledger.states import Recent
from inventory_grpc.domain.values import ReservationId, StockId
from inventory_grpc.infrastructure.log.ids import RESERVATION
from inventory_grpc.infrastructure.sqlite import events as log
from inventory_grpc.infrastructure.sqlite.rows import select_with

KNOWN_STREAMS: Final = 100_000
KNOWN_RESERVATIONS: Final = 20_000
"""Numbers that need not be looked up again: once given, they are for ever."""

# in one row: every row that is fetched lets go of the interpreter, see rows.py
_RESERVATIONS: Final = (
    "WITH asked (name) AS ({}) SELECT json_group_array(json_array(name, subject)) "  # noqa: S608  made of our own words, values are bound
    f"FROM asked CROSS JOIN subjects USING (name) WHERE kind = {RESERVATION}"
)


@dataclass(slots=True)
class Numbers:
    """Those of the file, as far as they were used lately."""

    streams: Recent[StockId, int] = field(default_factory=lambda: Recent(KNOWN_STREAMS))
    reservations: Recent[ReservationId, int] = field(
        default_factory=lambda: Recent(KNOWN_RESERVATIONS)
    )

    def clear(self) -> None:
        """Look everything up again: the file was opened anew."""
        self.streams.clear()
        self.reservations.clear()


@dataclass(slots=True)
class NumbersGiven:
    """Those of one transaction too, which are those of the file only if it is committed."""

    connection: apsw.Connection
    kept: Numbers
    streams: dict[StockId, int] = field(default_factory=dict)
    reservations: dict[ReservationId, int] = field(default_factory=dict)
    unmade: set[ReservationId] = field(default_factory=set)
    """Reservations that were not there when the transaction began."""

    def stream(self, stock_id: StockId) -> int | None:
        """Return the stream of a stock, if it has a history."""
        number = self.streams.get(stock_id) or self.kept.streams.get(stock_id)
        if number is None:
            number = log.find_stream(self.connection, stock_id)
            if number is not None:
                self.found(stock_id, number)
        return number

    def found(self, stock_id: StockId, number: int) -> None:
        """Know the stream of a stock from now on, unless it was begun in this transaction."""
        if stock_id not in self.streams:
            self.kept.streams.put(stock_id, number)

    def reservation(self, reservation_id: ReservationId) -> int | None:
        """Return the number of a reservation, if it was made."""
        number = self.reservations.get(reservation_id)
        number = number or self.kept.reservations.get(reservation_id)
        if number is None and reservation_id not in self.unmade:
            number = log.find_subject(self.connection, reservation_id)
            if number is not None:
                self.kept.reservations.put(reservation_id, number)
        return number

    def expect(self, reservation_ids: Collection[ReservationId]) -> None:
        """Look up at once which of these were made."""
        self.unmade.update(reservation_ids)
        asked = [(reservation_id,) for reservation_id in reservation_ids]
        for (rows,) in select_with(self.connection, _RESERVATIONS, asked):
            for reservation_id, number in loads(rows):
                self.unmade.discard(reservation_id)
                if reservation_id not in self.reservations:
                    self.kept.reservations.put(ReservationId(reservation_id), number)

    def keep(self) -> None:
        """Know them from now on: the transaction was committed."""
        for stock_id, number in self.streams.items():
            self.kept.streams.put(stock_id, number)
        for reservation_id, number in self.reservations.items():
            self.kept.reservations.put(reservation_id, number)
