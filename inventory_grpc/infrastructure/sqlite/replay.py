"""Replays the log from the beginning, to rebuild its read models or to check them."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final

import apsw

from inventory_grpc.application.failpoints import reach
from inventory_grpc.domain.event import Event
from inventory_grpc.domain.levels import Levels
from inventory_grpc.infrastructure import read_models
from inventory_grpc.infrastructure.codec import KIND, UNREADABLE, decode
from inventory_grpc.infrastructure.log.chain import NumberedEvent, bits
from inventory_grpc.infrastructure.log.ids import kind_and_name, stream_row
from inventory_grpc.infrastructure.read_models import stock_reads
from inventory_grpc.infrastructure.sqlite.events import broken_links

Row = tuple[Any, ...]

PAGE: Final = 10_000
"""Events read at a time, which bounds each read transaction."""

Progress = Callable[[int], None]
"""Called with the position reached."""


def pages(source: apsw.Connection, after: int, upto: int) -> Iterator[Sequence[Row]]:
    """Yield the rows of the log between two positions in order, a page at a time.

    A row has the position, the event, whether it follows the previous event of its stream, the
    keys of the event, and their names.
    """
    while after < upto:
        page: Sequence[Row] = source.execute(
            "SELECT position, event, version = 1 OR EXISTS (SELECT 1 FROM events AS before "
            "WHERE before.stream = events.stream AND before.version = events.version - 1 "
            "AND before.position < events.position), "
            "stream, version, ordinal, events.kind, subject, "
            "second_subject, alerts, streams.kind, id, product_id, store_id, streams.name, "
            "subjects.kind, subjects.name "
            "FROM events LEFT JOIN streams USING (stream) LEFT JOIN subjects USING (subject) "
            "WHERE position > ? AND position <= ? ORDER BY position",
            (after, min(after + PAGE, upto)),
        ).fetchall()
        if not page:
            break
        yield page
        after = page[-1][0]


def play(
    rows: Iterable[Sequence[Row]], target: apsw.Connection, progress: Progress
) -> Iterator[str]:
    """Fill the read models in *target* from pages of rows; yield each inconsistency.

    An inconsistent event is applied like any other, because the log is the truth.
    """
    command: list[NumberedEvent] = []  # its last events may be on the next page
    for page in rows:
        known, whole = _Known(target), list[NumberedEvent]()
        for earlier in command:
            known.move(earlier)
        for position, data, follows, *keys in page:
            try:
                event = decode(data)
            except UNREADABLE as error:
                yield f"event {position}: cannot be read: {error}"
                continue
            if command and command[0][0].command_position != event.command_position:
                whole += command
                command = []
            recorded = known.whole(event, keys[0]), keys[0], keys[4]
            yield from _misfits(known, event, keys)
            if event.after is None and not follows:
                yield f"event {position}: is not the next one of {event.key}"
            known.move(recorded)
            command.append(recorded)
        read_models.project(target, whole)
        progress(page[-1][0])
    read_models.project(target, command)


class _Known:
    """The current states of the stocks that this page has read or changed."""

    def __init__(self, target: apsw.Connection) -> None:
        self._target = target
        self._stocks: dict[int, tuple[Levels, int]] = {}

    def stock(self, stream: int) -> tuple[Levels, int]:
        """Return the levels and the version of a stock."""
        stock = self._stocks.get(stream)
        if stock is None:
            stock = self._stocks[stream] = stock_reads.levels_of(self._target, stream)
        return stock

    def after(self, event: Event, stream: int) -> tuple[Levels, int]:
        """Return the levels and the version that must follow *event*."""
        levels, version = self.stock(stream)
        return levels.after(event.fact), version + 1

    def whole(self, event: Event, stream: int) -> Event:
        """Return *event* with all of the levels after it, of which it shows some."""
        if event.after is None:
            return event
        levels, _ = self.after(event, stream)
        shown = event.after.on_hand, event.after.reserved
        if shown != levels[:2]:
            levels = levels._replace(on_hand=shown[0], reserved=shown[1])
        return event._replace(after=levels)

    def move(self, recorded: NumberedEvent) -> None:
        event, stream, _ = recorded
        if event.after is not None:
            self._stocks[stream] = event.after, event.version


def rebuild(connection: apsw.Connection, upto: int, progress: Progress) -> None:
    """Rebuild the read models in one transaction."""
    with connection:
        for position in broken_links(connection, 0, upto):
            raise LogInconsistent(f"event {position}: is missing, or breaks the hash chain")
        read_models.drop(connection)
        read_models.create(connection)
        for misfit in play(pages(connection, 0, upto), connection, progress):
            raise LogInconsistent(misfit)
        reach("rebuild_mid")
        connection.execute("UPDATE log SET read_models = ?", (read_models.VERSION,))


class LogInconsistent(Exception):
    """The log contradicts itself; `inventory-grpc verify` lists every inconsistency."""


def _misfits(known: _Known, event: Event, keys: Sequence[Any]) -> Iterator[str]:
    """Yield each contradiction of *event* to its stored keys, or to the events before it."""
    at = f"event {event.position}"
    stream, version, ordinal, kind, subject, second_subject, alerts, *names = keys
    named = [*stream_row(event.key), kind_and_name(event.key)[1]]
    if names[:5] != named or (event.version == 1 and stream != event.position):
        yield f"{at}: is of {event.key}, kept in stream {stream} of {names[:5]}"
    expected = (event.version, event.position - event.command_position, KIND[type(event.fact)])
    if (version, ordinal, kind) != expected:
        yield f"{at}: version, ordinal, kind are {expected}, kept as {(version, ordinal, kind)}"
    key = event.fact.subject
    about = [None, None] if key is None else [*kind_and_name(key)]
    is_later = subject is not None and subject > event.position
    if names[5:] != about or is_later or second_subject is not None:
        yield f"{at}: is about {about}, kept under {subject}, {second_subject} of {names[5:]}"
    if (alerts or 0) != bits(event.alerts):
        yield f"{at}: has the alerts {bits(event.alerts)}, kept as {alerts}"
    if event.after is None:
        return
    after, expected_version = known.after(event, stream)
    if (after.shown, expected_version) != (event.after.shown, event.version):
        yield f"{at}: levels and version after it should be {(*after.shown, expected_version)}"
