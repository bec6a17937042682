"""A durable journal of acknowledged commands."""

import os
from collections.abc import Iterator
from pathlib import Path


class Journal:
    """A file outside of all that is to crash: each entry is on disk before it counts."""

    def __init__(self, path: Path) -> None:
        self._path = path
        path.touch()

    def note(self, request_id: str, position: int) -> None:
        """Write down that a request was answered with a position."""
        file = os.open(self._path, os.O_WRONLY | os.O_APPEND)
        try:
            os.write(file, f"{request_id} {position}\n".encode("ascii"))
            os.fsync(file)
        finally:
            os.close(file)

    def positions(self) -> Iterator[tuple[str, int]]:
        """Yield what is on disk: requests and the positions they were promised."""
        for entry in self._path.read_text("ascii").splitlines():
            request_id, position = entry.split()
            yield request_id, int(position)
