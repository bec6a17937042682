"""The log output as single lines, also where several were written at once."""

from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any, NoReturn

import structlog

Line = dict[str, Any]


@contextmanager
def captured_lines() -> Iterator[list[Line]]:
    """Yield the lines that will have been written: as `structlog.testing.capture_logs` does."""
    lines: list[Line] = []

    def capture(_logger: object, level: str, entry: MutableMapping[str, Any]) -> NoReturn:
        each = entry.pop("each", [{}])
        lines.extend(line | {**entry, "log_level": level} for line in each)
        raise structlog.DropEvent

    # the list itself: loggers that are in use keep it
    processors = structlog.get_config()["processors"]
    before = processors.copy()
    processors[:] = [capture]
    try:
        yield lines
    finally:
        processors[:] = before
