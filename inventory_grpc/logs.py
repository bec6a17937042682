"""What do log lines look like, and where do they go?"""

import json
import logging
import sys
from typing import Any, Final

import structlog

from inventory_grpc.settings import LogFormat


def set_up_logging(how: LogFormat) -> None:
    """Write one line an entry to standard error: JSON, or readable on a terminal.

    The lines of the standard library's `logging`, which the inner layers use, look the same.
    """
    readable = how is LogFormat.CONSOLE or (how is LogFormat.AUTO and sys.stderr.isatty())
    renderer: Any = (
        structlog.dev.ConsoleRenderer()
        if readable
        else structlog.processors.JSONRenderer(serializer=_json)
    )
    shared: list[Any] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[*shared, _exceptions(readable=readable), renderer],
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                _exceptions(readable=readable),
                renderer,
            ],
        )
    )
    logging.basicConfig(handlers=[handler], level=logging.INFO, force=True)


_encode: Final = json.JSONEncoder(default=repr).encode


def _json(entry: object, **_: object) -> str:
    """Encode *entry* with one encoder for all: `json.dumps` would make one for each line."""
    return _encode(entry)


def _exceptions(*, readable: bool) -> Any:  # noqa: ANN401  structlog's processors are of no one type
    """Return what turns an exception into text; the console renderer does it by itself."""
    if readable:
        return lambda _logger, _name, entry: entry
    return structlog.processors.format_exc_info
