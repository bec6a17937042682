"""Replays the log from the beginning, to make the read models of any engine, or to check them."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, Protocol

from inventory_grpc.domain.event import Event
from inventory_grpc.domain.levels import Levels
from inventory_grpc.infrastructure.codec import KIND, UNREADABLE, decode
from inventory_grpc.infrastructure.log.chain import NumberedEvent, bits, link
from inventory_grpc.infrastructure.log.ids import kind_and_name, stream_row

Row = tuple[Any, ...]
"""An event of the log: its position, hash and bytes, whether it follows the previous one of its
stream, its keys, and their names. See `COLUMNS`."""

COLUMNS: Final = (
    "position, hash, event, {follows}, "
    "stream, version, ordinal, events.kind, subject, "
    "second_subject, alerts, streams.kind, id, product_id, store_id, streams.name, "
    "subjects.kind, subjects.name "
    "FROM events LEFT JOIN streams USING (stream) LEFT JOIN subjects USING (subject)"
)
"""Selects rows, with an engine's condition that an event follows the previous one of its stream.

The tables of the log are those of every engine.
"""

_STREAM: Final = 4
"""The place of the number of the stream in a row."""
_ORDINAL: Final = 6
"""That of the index of the event in its command."""

Progress = Callable[[int], None]
"""Called with the position reached."""

_NO_HISTORY: Final = Levels(0, 0), 0


class LogInconsistent(Exception):
    """The log contradicts itself; `inventory-grpc verify` lists every inconsistency."""


def whole_commands(page: Sequence[Row], upto: int) -> Sequence[Row]:
    """Return *page* without its last command, which may go on, unless it reaches *upto*."""
    if page and page[-1][0] < upto:
        for place in range(len(page) - 1, 0, -1):
            if page[place][_ORDINAL] == 0:
                return page[:place]
    return page


def broken_links(page: Sequence[Row], after: int, previous: bytes | None) -> Iterator[int]:
    """Yield the positions on *page* that are missing or have a wrong hash.

    The page begins after the position *after*, where the hash was *previous*.
    """
    expected = after + 1
    for position, digest, data, *_ in page:
        yield from range(expected, position)
        if position == expected and (previous is None or link(previous, data) != digest):
            yield position
        expected, previous = position + 1, digest


class Target(Protocol):
    """The read models that a replay fills."""

    def stocks(self, streams: Collection[int]) -> Mapping[int, tuple[Levels, int]]:
        """Return the levels and versions of the stocks that have a history, by their numbers."""

    def project(self, recorded: Sequence[NumberedEvent]) -> None:
        """Update all tables by the events of whole commands."""


def play(rows: Iterable[Sequence[Row]], target: Target, progress: Progress) -> Iterator[str]:
    """Fill the read models in *target* from pages of rows; yield each inconsistency.

    An inconsistent event is applied like any other, because the log is the truth.
    """
    command: list[NumberedEvent] = []  # its last events may be on the next page
    for page in rows:
        known = _Known(target.stocks({row[_STREAM] for row in page}))
        whole = list[NumberedEvent]()
        for earlier in command:
            known.move(earlier)
        for position, _, data, follows, *keys in page:
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
            if not follows:
                yield f"event {position}: is not the next one of {event.key}"
            known.move(recorded)
            command.append(recorded)
        target.project(whole)
        progress(page[-1][0])
    target.project(command)


class _Known:
    """The current states of the stocks of a page."""

    def __init__(self, stocks: Mapping[int, tuple[Levels, int]]) -> None:
        self._stocks = dict(stocks)

    def stock(self, stream: int) -> tuple[Levels, int]:
        """Return the levels and the version of a stock."""
        return self._stocks.get(stream, _NO_HISTORY)

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
