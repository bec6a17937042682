"""A collector of traces: it speaks OTLP over gRPC and keeps the spans."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as pb
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import (
    TraceServiceServicer,
    add_TraceServiceServicer_to_server,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.support.waiting import eventually


@dataclass
class Collector(TraceServiceServicer):
    """Keeps the spans that it is sent."""

    endpoint: str = ""
    spans: list[Span] = field(default_factory=list)
    resources: list[dict[str, str]] = field(default_factory=list)

    def Export(
        self,
        request: pb.ExportTraceServiceRequest,
        context: Any,  # noqa: ANN401, ARG002  gRPC's own
    ) -> pb.ExportTraceServiceResponse:
        for sent in request.resource_spans:
            found = sent.resource.attributes
            self.resources.append({one.key: one.value.string_value for one in found})
            for scope in sent.scope_spans:
                self.spans += scope.spans
        return pb.ExportTraceServiceResponse()

    async def of(self, trace_id: str, number: int) -> Sequence[Span]:
        """Return the spans of a trace, once there are so many, by their begin."""

        def found() -> Sequence[Span]:
            return [span for span in self.spans if span.trace_id.hex() == trace_id]

        await eventually(lambda: len(found()) >= number)
        return sorted(found(), key=lambda span: (span.start_time_unix_nano, span.name))


def attributes(span: Span) -> dict[str, object]:
    """Return the attributes of *span*; each is a text or a whole number."""
    return {one.key: one.value.string_value or one.value.int_value for one in span.attributes}


@contextmanager
def collecting() -> Iterator[Collector]:
    """Run a collector on a port of its own."""
    collector, server = Collector(), grpc.server(ThreadPoolExecutor(2))
    add_TraceServiceServicer_to_server(collector, server)  # type: ignore[no-untyped-call]  # generated
    collector.endpoint = f"http://127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    try:
        yield collector
    finally:
        server.stop(None).wait()


@asynccontextmanager
async def silent_endpoint() -> AsyncIterator[str]:
    """Take connections, and never answer."""
    held: list[asyncio.StreamWriter] = []

    async def hold(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        held.append(writer)

    server = await asyncio.start_server(hold, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for writer in held:
            writer.transport.abort()
