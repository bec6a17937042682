"""What tables does the log make, when it is played from the beginning?"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import apsw

from inventory_grpc.application.failpoints import reach
from inventory_grpc.application.states import reservation_fact
from inventory_grpc.domain.events import Event, StockReserved
from inventory_grpc.domain.inventory import moves
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
        for position, data, *keys in page:
            try:
                event = decode(data)
            except UNREADABLE as error:
                yield f"event {position}: cannot be read: {error}"
                continue
            if command and command[0].event.command_position != event.command_position:
                _project(target, command)
                command = []
            recorded = Recorded(event, keys[0], keys[4])
            yield from _misfits(target, recorded, keys)
            command.append(recorded)
        after = page[-1][0]
        progress(after)
    if command:
        _project(target, command)


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


def _project(target: apsw.Connection, command: Sequence[Recorded]) -> None:
    movements = Movements()
    movements.gather(command)
    movements.write(target)


def _misfits(target: apsw.Connection, recorded: Recorded, keys: Sequence[Any]) -> Iterator[str]:
    """Yield in what *recorded* contradicts its keys, or the events before it."""
    event, stream, _ = recorded
    at = f"event {event.position}"
    _, version, ordinal, kind, reservation, *name = keys
    if event.stock_id != tuple(name) or (event.version == 1 and stream != event.position):
        yield f"{at}: is of {event.stock_id}, kept in stream {stream} of {name}"
    expected = (event.version, event.position - event.command_position, KIND[type(event.fact)])
    if (version, ordinal, kind) != expected:
        yield f"{at}: version, ordinal, kind are {expected}, kept as {(version, ordinal, kind)}"
    if reservation != (number := _reservation_number(target, event)):
        yield f"{at}: belongs to reservation {number}, kept as {reservation}"
    before: Row = target.execute(
        "SELECT on_hand, reserved, version FROM stocks WHERE stream = ?", (stream,)
    ).fetchone() or (0, 0, 0)
    on_hand, reserved = moves(event.fact)
    follows = (before[0] + on_hand, before[1] + reserved, before[2] + 1)
    if follows != (*event.after, event.version):
        yield f"{at}: levels and version after it should be {follows}"


def _reservation_number(target: apsw.Connection, event: Event) -> int | None:
    fact = reservation_fact(event)
    if fact is None:
        return None
    if isinstance(fact, StockReserved):
        return event.command_position
    return find_reservation(target, fact.reservation_id)
