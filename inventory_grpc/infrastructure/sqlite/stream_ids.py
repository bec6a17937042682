"""The numbers of streams and subjects in the tables; a number never changes."""

from collections.abc import Collection
from typing import Final

import apsw
from orjson import loads

from inventory_grpc.domain.event import Key
from inventory_grpc.infrastructure.log.ids import kind_and_name
from inventory_grpc.infrastructure.log.recent import Recent
from inventory_grpc.infrastructure.sqlite import events as log
from inventory_grpc.infrastructure.sqlite.multirow import select_with

KNOWN_STREAMS: Final = 100_000
KNOWN_SUBJECTS: Final = 20_000
"""Limits of the cached numbers."""

# in one row, because each fetch of a row releases the GIL, see multirow.py
_SELECT_SUBJECTS: Final = (
    "WITH wanted (place, kind, name) AS ({}) SELECT json_group_array(json_array(place, subject)) "
    "FROM wanted CROSS JOIN subjects USING (kind, name)"
)


class StreamIds:
    """Caches of the numbers."""

    def __init__(self) -> None:
        self.streams: Recent[Key, int] = Recent(KNOWN_STREAMS)
        self.subjects: Recent[Key, int] = Recent(KNOWN_SUBJECTS)

    def stream(self, connection: apsw.Connection, key: Key) -> int | None:
        """Return the number of a stream, if it has a history."""
        number = self.streams.get(key) or log.find_stream(connection, key)
        if number is not None:
            self.streams.put(key, number)
        return number

    def find_subjects(self, connection: apsw.Connection, keys: Collection[Key]) -> dict[Key, int]:
        """Return the numbers of those of *keys* that are the subject of events."""
        found = {key: number for key in keys if (number := self.subjects.get(key)) is not None}
        unknown = [key for key in keys if key not in found]
        wanted = [(place, *kind_and_name(key)) for place, key in enumerate(unknown)]
        for (rows,) in select_with(connection, _SELECT_SUBJECTS, wanted):
            for place, number in loads(rows):
                found[unknown[place]] = number
                self.subjects.put(unknown[place], number)
        return found

    def clear(self) -> None:
        """Evict all numbers, after the file was reopened."""
        self.streams.clear()
        self.subjects.clear()
