"""The numbers of streams and subjects, which are looked up together; a number never changes."""

from collections.abc import Collection, Container, Sequence
from typing import Final

from inventory_grpc.domain.event import Event, Key
from inventory_grpc.infrastructure.log.recent import Recent
from inventory_grpc.infrastructure.postgres.statement import Statement
from inventory_grpc.infrastructure.postgres.wanted import WANTED, wanted
from inventory_grpc.infrastructure.postgres.wire import Row, Wire

KNOWN_STREAMS: Final = 100_000
KNOWN_SUBJECTS: Final = 20_000
"""Limits of the cached numbers."""

_STREAMS: Final = Statement(f"SELECT place, stream FROM {WANTED} JOIN streams USING (kind, name)")
_SUBJECTS: Final = Statement(
    f"SELECT place, subject FROM {WANTED} JOIN subjects USING (kind, name)"
)


class Numbers:
    """Caches of the numbers."""

    def __init__(self) -> None:
        self.streams: Recent[Key, int] = Recent(KNOWN_STREAMS)
        self.subjects: Recent[Key, int] = Recent(KNOWN_SUBJECTS)

    def stream(self, wire: Wire, key: Key) -> int | None:
        """Return the number of a stream, if it has a history."""
        if key not in self.streams:
            self._look_up(wire, [key], [])
        return self.streams.get(key)

    def look_up(self, wire: Wire, events: Sequence[Event], new: Container[Key]) -> None:
        """Cache the numbers of the streams and subjects of *events*, if they have one.

        The *new* subjects are known to have none. No number of these events is evicted by another
        one: a batch has fewer of them than the caches.
        """
        begun = {event.key for event in events if event.version == 1}
        streams = dict.fromkeys(event.key for event in events)
        subjects = dict.fromkeys(event.fact.subject for event in events)
        self._look_up(
            wire,
            [key for key in _unknown(self.streams, streams) if key not in begun],
            [
                key
                for key in _unknown(self.subjects, subjects)
                if key is not None and key not in new
            ],
        )

    def _look_up(self, wire: Wire, streams: Sequence[Key], subjects: Sequence[Key]) -> None:
        if not streams and not subjects:
            return
        found = wire.run([_STREAMS.bind(**wanted(streams)), _SUBJECTS.bind(**wanted(subjects))])
        _put(self.streams, streams, found[0])
        _put(self.subjects, subjects, found[1])

    def clear(self) -> None:
        """Evict all numbers, after the connection was opened again."""
        self.streams.clear()
        self.subjects.clear()


def _unknown(known: Recent[Key, int], keys: Collection[Key]) -> Sequence[Key]:
    """Return those of *keys* without a cached number, and make the others the last to go."""
    unknown = []
    for key in keys:
        if key in known:
            known.move_to_end(key)
        else:
            unknown.append(key)
    return unknown


def _put(known: Recent[Key, int], keys: Sequence[Key], rows: Sequence[Row]) -> None:
    for place, number in rows:
        known.put(keys[place - 1], number)
