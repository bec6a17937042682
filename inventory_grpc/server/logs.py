"""Sets up logging: one line for each entry on standard error, as JSON or for a terminal."""

import json
import logging
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, TextIO

import orjson
import structlog

from inventory_grpc.choices import LogFormat
from inventory_grpc.server.log_queue import LogQueue

Entry = dict[str, Any]


def set_up_logging(how: LogFormat, worker: int | None = None) -> None:
    """Write one line for each entry to standard error: JSON, or readable on a terminal.

    Entries of the standard library's `logging`, which the inner layers use, look the same.
    With several workers, each line names its *worker*.
    """
    readable = how is LogFormat.CONSOLE or (how is LogFormat.AUTO and sys.stderr.isatty())
    shared: list[Any] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        *([_with_worker(worker)] if worker else []),
    ]
    rendering: list[Any] = [structlog.processors.format_exc_info]
    if readable:
        # the default formatter shows local variables, and so the content of requests
        plain = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
        rendering += [_lines(lambda entry: str(plain(None, "", _escaped(entry))))]
    else:
        rendering += [_lines(_json, _json_lines)]
    structlog.configure(
        processors=[*shared, *rendering],
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        cache_logger_on_first_use=True,
    )
    handler = _Handler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *rendering],
        )
    )
    logging.basicConfig(handlers=[handler], level=logging.INFO, force=True)


class _Handler(logging.StreamHandler[TextIO]):
    """Writes lines; `logging.shutdown` waits a bounded time for the queued ones."""

    def close(self) -> None:
        if isinstance(self.stream, LogQueue):
            self.stream.drain()
        super().close()


def _lines(
    render: Callable[[Entry], str],
    render_each: Callable[[Sequence[Entry], Entry], str] | None = None,
) -> Callable[[object, str, Entry], str]:
    """Render an entry; one with a list `each` becomes a line for each of its parts.

    A part has none of the fields that the lines have in common.
    """

    def rendered(_logger: object, _name: str, entry: Entry) -> str:
        each = entry.pop("each", None)
        if each is None:
            return render(entry)
        if render_each:
            return render_each(each, entry)
        return "\n".join(render(part | entry) for part in each)

    return rendered


def _json(entry: Entry) -> str:
    """Encode *entry* in printable ASCII."""
    with suppress(TypeError):  # a lone surrogate, which a file name can contain
        encoded = orjson.dumps(entry, default=repr)
        if _is_plain(encoded):
            return encoded.decode("ascii")
    return json.dumps(entry, default=repr)


def _json_lines(each: Sequence[Entry], common: Entry) -> str:
    """Encode each of the parts with the *common* fields, as `_json` would.

    The common fields are encoded once, and the lines are checked together. That was measured to
    take 0.6 µs a line, and `_json` for each 3.3 µs.
    """
    with suppress(TypeError):
        end = b"," + orjson.dumps(common, default=repr)[1:]
        encoded = b"\n".join([orjson.dumps(part, default=repr)[:-1] + end for part in each])
        if _is_plain(encoded):
            return encoded.decode("ascii")
    return "\n".join(_json(part | common) for part in each)


def _is_plain(encoded: bytes) -> bool:
    """Return whether JSON is printable ASCII; orjson escapes all control characters but one."""
    return encoded.isascii() and b"\x7f" not in encoded


def _with_worker(worker: int) -> Callable[[object, str, Entry], Entry]:
    return lambda _logger, _name, entry: entry | {"worker": worker}


def _escaped(entry: Entry) -> Entry:
    """Escape control characters and line breaks in the values of *entry*."""
    for key, value in entry.items():
        if key == "exception":
            entry[key] = "\n".join(f"    {printable(line)}" for line in value.split("\n"))
        elif isinstance(value, str):
            entry[key] = printable(value)
    return entry


def printable(text: str) -> str:
    """Return *text* with all characters escaped that are not printable."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)
