"""The trace context of the caller, sent with each call where the caller uses OpenTelemetry."""

import sys
from typing import Final

Metadata = tuple[tuple[str, str], ...] | None

_LIBRARY: Final = "opentelemetry.trace"


def trace_context() -> Metadata:
    """Return the metadata that names the current span; None if there is no span.

    The library is not loaded here, which takes a fifth of a second: a caller with a span has
    done so.
    """
    if _LIBRARY not in sys.modules:
        return None
    from opentelemetry.trace.propagation.tracecontext import (  # noqa: PLC0415  see above
        TraceContextTextMapPropagator,
    )

    carrier: dict[str, str] = {}
    TraceContextTextMapPropagator().inject(carrier)
    return tuple(carrier.items()) or None
