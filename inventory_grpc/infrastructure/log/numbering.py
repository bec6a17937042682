"""Numbers of streams and subjects: the positions of their first events."""

from collections.abc import Callable, Sequence

from inventory_grpc.domain.event import Event, Key
from inventory_grpc.infrastructure.log.chain import NumberedEvent
from inventory_grpc.infrastructure.log.recent import Recent

Find = Callable[[Key], int | None]
"""Looks up the number of a key; None if it has none."""


class Numbering:
    """Assigns the numbers of their keys to the events of one transaction; new keys get new ones."""

    def __init__(
        self,
        known_streams: Recent[Key, int],
        known_subjects: Recent[Key, int],
        find_stream: Find,
        find_subject: Find,
    ) -> None:
        self._known_streams = known_streams
        self._known_subjects = known_subjects
        self._find_stream = find_stream
        self._find_subject = find_subject
        self.streams: dict[Key, int] = {}
        self.subjects: dict[Key, int] = {}

    def numbered(self, events: Sequence[Event]) -> list[NumberedEvent]:
        """Return *events* with their numbers."""
        begun, known, recorded = self.streams, self._known_streams, list[NumberedEvent]()
        subject, number = None, None  # usually the same for all events of a command
        for event in events:
            key = event.key
            if event.version == 1:
                stream = begun[key] = event.position
            else:
                stream = known.get(key) or begun.get(key) or self._find(key)
            about = event.fact.subject
            if about is not subject:
                subject = about
                number = None if about is None else self._number(about, event.position)
            recorded.append((event, stream, number))
        return recorded

    def _find(self, key: Key) -> int:
        stream = self._find_stream(key)
        assert stream is not None, f"{key} has no history"
        return stream

    def _number(self, subject: Key, position: int) -> int:
        """Return the number of *subject*; a new one gets *position*, that of its first event."""
        number = self.subjects.get(subject) or self._known_subjects.get(subject)
        if number is None:
            number = self._find_subject(subject)
            if number is None:
                number = self.subjects[subject] = position
        return number

    def keep(self) -> None:
        """Cache the new numbers, after the commit."""
        for key, number in self.streams.items():
            self._known_streams.put(key, number)
        for key, number in self.subjects.items():
            self._known_subjects.put(key, number)
