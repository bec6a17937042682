"""Traces the calls of a server, if an endpoint for traces is set."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from inventory_grpc.bad_setting import BadSetting
from inventory_grpc.presentation.interceptors.tracing import Tracing
from inventory_grpc.settings import Settings
from inventory_grpc.telemetry.variables import check_variables


@asynccontextmanager
async def tracing(settings: Settings, worker: int | None) -> AsyncIterator[Tracing | None]:
    """Yield the tracer of calls and their ratio; on exit, send the last spans.

    Raises:
        BadSetting: the extra is not installed, or a variable of the library is invalid.
    """
    if settings.trace_endpoint is None:
        yield None
        return
    check_variables(os.environ)
    try:
        from inventory_grpc.telemetry.spans import Spans  # noqa: PLC0415  an optional extra

        spans = Spans(settings.trace_endpoint, worker)
    except ImportError:
        raise BadSetting(
            "trace_endpoint: opentelemetry is not installed; pip install 'inventory-grpc[otel]'"
        ) from None
    except Exception as error:
        # such as a file of OTEL_EXPORTER_OTLP_CERTIFICATE that cannot be read
        raise BadSetting(f"a variable OTEL_… is invalid: {error}") from error
    try:
        yield Tracing(spans, settings.trace_ratio)
    finally:
        await spans.close()
