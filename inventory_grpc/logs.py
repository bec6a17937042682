"""What do log lines look like, and where do they go?"""

import json
import logging
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any, Final

import structlog

from inventory_grpc.settings import LogFormat


def set_up_logging(how: LogFormat, worker: int | None = None) -> None:
    """Write one line an entry to standard error: JSON, or readable on a terminal.

    The lines of the standard library's `logging`, which the inner layers use, look the same;
    but for those of calls, where it would cost each of them, they say which *worker* it was.
    """
    readable = how is LogFormat.CONSOLE or (how is LogFormat.AUTO and sys.stderr.isatty())
    shared: list[Any] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    rendering: list[Any] = [structlog.processors.format_exc_info]
    if readable:
        # its own way to show an exception shows the variables, and so what callers have sent
        plain = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
        rendering += [_tamed, plain]
    else:
        rendering += [structlog.processors.JSONRenderer(serializer=_json)]
    structlog.configure(
        processors=[*shared, *rendering],
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[
                *shared,
                structlog.stdlib.add_logger_name,
                *([_signed(worker)] if worker else []),
            ],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *rendering],
        )
    )
    logging.basicConfig(handlers=[handler], level=logging.INFO, force=True)


_encode: Final = json.JSONEncoder(default=repr).encode


def _json(entry: object, **_: object) -> str:
    """Encode *entry* with one encoder for all: `json.dumps` would make one for each line."""
    return _encode(entry)


def _signed(worker: int) -> structlog.typing.Processor:
    def sign(_logger: object, _name: str, entry: MutableMapping[str, Any]) -> Mapping[str, Any]:
        entry["worker"] = worker
        return entry

    return sign


def _tamed(_logger: object, _name: str, entry: dict[str, Any]) -> dict[str, Any]:
    """Leave nothing in *entry* that a terminal would obey, or that looks like another line."""
    for key, value in entry.items():
        if key == "exception":
            entry[key] = "\n".join(f"    {_printable(line)}" for line in value.split("\n"))
        elif isinstance(value, str):
            entry[key] = _printable(value)
    return entry


def _printable(text: str) -> str:
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)
