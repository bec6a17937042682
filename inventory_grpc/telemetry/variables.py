"""Checks the variables of the OpenTelemetry library before it reads them.

The library ends some bad values in an error without their name, even while it is imported, and
others in a traceback in the log. This module imports nothing of it.
"""

import os
from collections.abc import Callable, Mapping, MutableMapping
from typing import Final, NamedTuple

from grpc import StatusCode

from inventory_grpc.bad_setting import BadSetting, shown

MAX_WAITING: Final = 4_096
"""Spans that wait to be sent; more push out the oldest."""

_PREFIX: Final = "OTEL_"


class _Rule(NamedTuple):
    """The values that a variable may have."""

    wanted: str
    allows: Callable[[str], bool]


def _whole(least: int, most: float = float("inf")) -> _Rule:
    bounds = f"from {least}" + (f" to {most:,.0f}" if most < float("inf") else "")
    return _Rule(f"a whole number {bounds}", lambda text: least <= int(text) <= most)


_LIMIT: Final = _Rule(
    "a whole number from 0, or `unset`",
    lambda text: text.strip().lower() == "unset" or int(text) >= 0,
)
_SECONDS: Final = _Rule("a number of seconds above 0", lambda text: 0 < float(text) < float("inf"))
_FILE: Final = _Rule("a file that can be read", lambda text: os.access(text, os.R_OK))
_CODES: Final = _Rule(
    "names of gRPC's status codes, such as UNAVAILABLE",
    lambda text: {code.strip().upper() for code in text.split(",")} <= {*StatusCode.__members__},
)
_COMPRESSION: Final = _Rule("`gzip`", lambda text: text.strip().lower() == "gzip")

_RULES: Final[Mapping[str, _Rule]] = {
    "OTEL_BSP_SCHEDULE_DELAY": _whole(1),
    "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": _whole(1, MAX_WAITING),
    "OTEL_BSP_EXPORT_TIMEOUT": _whole(1),
    "OTEL_EXPORTER_OTLP_TIMEOUT": _SECONDS,
    "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT": _SECONDS,
    "OTEL_EXPORTER_OTLP_COMPRESSION": _COMPRESSION,
    "OTEL_EXPORTER_OTLP_TRACES_COMPRESSION": _COMPRESSION,
    "OTEL_EXPORTER_OTLP_CERTIFICATE": _FILE,
    "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE": _FILE,
    "OTEL_EXPORTER_OTLP_CLIENT_KEY": _FILE,
    "OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE": _FILE,
    "OTEL_EXPORTER_OTLP_TRACES_CLIENT_CERTIFICATE": _FILE,
    "OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY": _FILE,
    "OTEL_PYTHON_EXPORTER_OTLP_GRPC_RETRYABLE_ERROR_CODES": _CODES,
    "OTEL_ATTRIBUTE_COUNT_LIMIT": _LIMIT,
    "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT": _LIMIT,
    "OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT": _LIMIT,
    "OTEL_LINK_ATTRIBUTE_COUNT_LIMIT": _LIMIT,
    "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT": _LIMIT,
    "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT": _LIMIT,
    "OTEL_SPAN_EVENT_COUNT_LIMIT": _LIMIT,
    "OTEL_SPAN_LINK_COUNT_LIMIT": _LIMIT,
}


def check_variables(environ: MutableMapping[str, str]) -> None:
    """Check the variables of the library, and remove those that are empty.

    The specification of OpenTelemetry has empty variables count as unset; the library does not.

    Raises:
        BadSetting: the library could not use one of them.
    """
    for name in [name for name in environ if name.startswith(_PREFIX) and not environ[name]]:
        del environ[name]
    for name, rule in _RULES.items():
        if name in environ and not _is_allowed(rule, environ[name]):
            raise BadSetting(f"{name}: must be {rule.wanted}, and is {shown(environ[name])}")


def _is_allowed(rule: _Rule, text: str) -> bool:
    try:
        return rule.allows(text)
    except ValueError:
        return False
