"""Spans of traced calls, sent as OTLP over gRPC.

A thread sends them. If the collector is slow or gone, spans are dropped, and no call waits.
"""

import asyncio
import threading
from collections.abc import Sequence
from importlib.metadata import version
from typing import Final, cast

from grpc import StatusCode
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    Status,
    TraceFlags,
    format_span_id,
    format_trace_id,
    set_span_in_context,
)
from opentelemetry.trace import StatusCode as Outcome
from opentelemetry.trace import Tracer as Library

from inventory_grpc.application.tracing import Trace
from inventory_grpc.presentation.interceptors.tracing import Parent
from inventory_grpc.telemetry.variables import MAX_WAITING

MAX_STEPS: Final = 300
"""Steps of one call that become spans; a stream of commands may go on for days."""

FLUSH_SECONDS: Final = 2.0
"""The time to send the last spans when the server stops."""

_FAILURES: Final = (
    StatusCode.UNKNOWN,
    StatusCode.DEADLINE_EXCEEDED,
    StatusCode.UNIMPLEMENTED,
    StatusCode.INTERNAL,
    StatusCode.UNAVAILABLE,
    StatusCode.DATA_LOSS,
)
"""The codes that OpenTelemetry's conventions call errors of a server."""


class CallSpan:
    """The span of one call."""

    def __init__(self, library: Library, span: Span) -> None:
        self._library = library
        self._span = span
        self._steps = 0
        self._context = set_span_in_context(span)
        context = span.get_span_context()
        self.link = Link(context)
        self.trace_id = format_trace_id(context.trace_id)
        self.span_id = format_span_id(context.span_id)

    def add_step(
        self,
        name: str,
        begun: int,
        ended: int,
        *,
        failed: bool = False,
        callers: Sequence[Trace] = (),
    ) -> None:
        self._steps += 1
        if self._steps > MAX_STEPS:
            return
        links = [caller.link for caller in cast("Sequence[CallSpan]", callers)]
        step = self._library.start_span(name, self._context, links=links, start_time=begun)
        if failed:
            step.set_status(Status(Outcome.ERROR))
        step.end(max(begun, ended))  # the wall clock may have been set back

    def end(self, code: StatusCode, actor: object, position: int) -> None:
        self._span.set_attribute("rpc.response.status_code", code.name)
        if actor:
            self._span.set_attribute("inventory.actor", str(actor))
        if position:
            self._span.set_attribute("inventory.position", position)
        if code in _FAILURES:
            self._span.set_status(Status(Outcome.ERROR))
        self._span.end()


class Spans:
    """Begins the spans of calls, and sends them to *endpoint* in batches."""

    def __init__(self, endpoint: str, worker: int | None = None) -> None:
        facts = {"service.name": "inventory-grpc", "service.version": version("inventory-grpc")}
        if worker is not None:
            facts["service.instance.id"] = str(worker)
        # OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES override these
        resource = Resource(facts).merge(OTELResourceDetector().detect())
        self._exporter = OTLPSpanExporter(endpoint)
        self._provider = TracerProvider(ALWAYS_ON, resource, shutdown_on_exit=False)
        self._provider.add_span_processor(
            BatchSpanProcessor(self._exporter, max_queue_size=MAX_WAITING)
        )
        self._library = self._provider.get_tracer("inventory_grpc")

    def begin(self, method: str, parent: Parent | None) -> CallSpan:
        name = method.removeprefix("/")
        span = self._library.start_span(
            name,
            _context_of(parent),
            SpanKind.SERVER,
            {"rpc.system.name": "grpc", "rpc.method": name},
        )
        return CallSpan(self._library, span)

    async def close(self) -> None:
        """Send the waiting spans, for a bounded time."""
        # not a thread of the event loop's pool, because the process would wait for its end
        sending = threading.Thread(target=self._provider.shutdown, daemon=True)
        sending.start()
        await asyncio.to_thread(sending.join, FLUSH_SECONDS)
        if sending.is_alive():
            self._exporter.shutdown()


def _context_of(parent: Parent | None) -> Context | None:
    if parent is None:
        return None
    context = SpanContext(
        parent.trace_id,
        parent.span_id,
        is_remote=True,
        trace_flags=TraceFlags(TraceFlags.SAMPLED),
    )
    return set_span_in_context(NonRecordingSpan(context))
