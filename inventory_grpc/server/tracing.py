"""Traces the calls of a server, if an endpoint for traces is set."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from inventory_grpc.presentation.interceptors.tracing import TraceCalls
from inventory_grpc.settings import BadSetting, Settings


@asynccontextmanager
async def tracing(settings: Settings, worker: int | None) -> AsyncIterator[TraceCalls | None]:
    """Yield what traces calls; on exit, send the last spans.

    Raises:
        BadSetting: the extra is not installed.
    """
    if settings.trace_endpoint is None:
        yield None
        return
    try:
        from inventory_grpc.telemetry.spans import Spans  # noqa: PLC0415  an optional extra
    except ImportError:
        raise BadSetting(
            "trace_endpoint: opentelemetry is not installed; pip install 'inventory-grpc[otel]'"
        ) from None
    spans = Spans(settings.trace_endpoint, worker)
    try:
        yield TraceCalls(spans, settings.trace_ratio)
    finally:
        await spans.close()
