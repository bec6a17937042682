"""What tables does the log make, when it is played from the beginning?"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import apsw

from inventory_grpc.application.failpoints import reach
from inventory_grpc.application.ledger.states import reservation_fact
from inventory_grpc.domain.event import Event
from inventory_grpc.domain.reservation import StockReserved
from inventory_grpc.domain.values import ReservationId
from inventory_grpc.infrastructure.codec import KIND, UNREADABLE, decode
from inventory_grpc.infrastructure.sqlite import schema
from inventory_grpc.infrastructure.sqlite.chain import broken_links
from inventory_grpc.infrastructure.sqlite.events import Recorded, find_reservation
from inventory_grpc.infrastructure.sqlite.read_models import Movements

Row = tuple[Any, ...]

PAGE: Final = 10_000
"""Events read at a time: no read transaction is longer than that."""

Progress = Callable[[int], None]
"""Called with the position reached."""


def play(
    source: apsw.Connection, target: apsw.Connection, after: int, upto: int, progress: Progress
) -> Iterator[str]:
    """Make the tables in *target* from the events in *source*; yield what does not fit.

    An event that does not fit is played all the same: what it says is what happened.
    """
    command: list[Recorded] = []  # which may go on on the next page
    while after < upto:
        page: Sequence[Row] = source.execute(
            "SELECT position, event, stream, version, ordinal, kind, reservation, "
            "product_id, store_id "
            "FROM events LEFT JOIN streams USING (stream) "
            "WHERE position > ? AND position <= ? ORDER BY position",
            (after, min(after + PAGE, upto)),
        ).fetchall()
        if not page:
            break
        known, movements = _Known(target), Movements()
        for earlier in command:
            known.move(earlier)
        for position, data, *keys in page:
            try:
                event = decode(data)
            except UNREADABLE as error:
                yield f"event {position}: cannot be read: {error}"
                continue
            if command and command[0].event.command_position != event.command_position:
                movements.gather(command)
                command = []
            recorded = Recorded(event, keys[0], keys[4])
            yield from _misfits(known, recorded, keys)
            known.move(recorded)
            command.append(recorded)
        movements.write(target)
        after = page[-1][0]
        progress(after)
    movements = Movements()
    if command:
        movements.gather(command)
    movements.write(target)


class _Known:
    """What the events have come to so far, as far as it was asked for on this page."""

    def __init__(self, target: apsw.Connection) -> None:
        self._target = target
        self._stocks: dict[int, Row] = {}
        self._numbers: dict[ReservationId, int | None] = {}

    def stock(self, stream: int) -> Row:
        """Return on hand, reserved and version of a stock."""
        stock = self._stocks.get(stream)
        if stock is None:
            stock = self._stocks[stream] = self._target.execute(
                "SELECT on_hand, reserved, version FROM stocks WHERE stream = ?", (stream,)
            ).fetchone() or (0, 0, 0)
        return stock

    def number(self, event: Event) -> int | None:
        """Return the number of the reservation that *event* is about, if it is."""
        fact = reservation_fact(event)
        if fact is None:
            return None
        name = fact.reservation_id
        if isinstance(fact, StockReserved):
            self._numbers[name] = event.command_position
        elif name not in self._numbers:
            self._numbers[name] = find_reservation(self._target, name)
        return self._numbers[name]

    def move(self, recorded: Recorded) -> None:
        """Go by what an event says."""
        self.number(recorded.event)
        self._stocks[recorded.stream] = (*recorded.event.after, recorded.event.version)


def rebuild(connection: apsw.Connection, upto: int, progress: Progress) -> None:
    """Make the read models again, in one transaction: all of it, or nothing."""
    with connection:
        for position in broken_links(connection, 0, upto):
            raise LogInconsistent(f"event {position}: is missing, or not what was chained")
        schema.drop_read_models(connection)
        schema.create_read_models(connection)
        for misfit in play(connection, connection, 0, upto, progress):
            raise LogInconsistent(misfit)
        reach("rebuild_mid")
        connection.execute("UPDATE log SET read_models = ?", (schema.READ_MODELS,))


class LogInconsistent(Exception):
    """The log contradicts itself; `inventory-grpc verify` says all about it."""


def _misfits(known: _Known, recorded: Recorded, keys: Sequence[Any]) -> Iterator[str]:
    """Yield in what *recorded* contradicts its keys, or the events before it."""
    event, stream, _ = recorded
    at = f"event {event.position}"
    _, version, ordinal, kind, reservation, *name = keys
    if event.key != tuple(name) or (event.version == 1 and stream != event.position):
        yield f"{at}: is of {event.key}, kept in stream {stream} of {name}"
    expected = (event.version, event.position - event.command_position, KIND[type(event.fact)])
    if (version, ordinal, kind) != expected:
        yield f"{at}: version, ordinal, kind are {expected}, kept as {(version, ordinal, kind)}"
    if reservation != (number := known.number(event)):
        yield f"{at}: belongs to reservation {number}, kept as {reservation}"
    before = known.stock(stream)
    on_hand, reserved = event.fact.moves
    follows = (before[0] + on_hand, before[1] + reserved, before[2] + 1)
    if follows != (*event.after, event.version):
        yield f"{at}: levels and version after it should be {follows}"
