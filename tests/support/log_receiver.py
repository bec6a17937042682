"""A place for logs to go: it speaks OTLP over HTTP and keeps the records."""

import gzip
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, NamedTuple

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord


class Received(NamedTuple):
    """One record, with the attributes of its resource."""

    resource: dict[str, Any]
    body: Any
    attributes: dict[str, Any]
    record: LogRecord


@dataclass
class LogReceiver:
    endpoint: str = ""
    records: list[Received] = field(default_factory=list)

    def take(self, request: ExportLogsServiceRequest) -> None:
        for sent in request.resource_logs:
            resource = _plain(sent.resource.attributes)
            for scope in sent.scope_logs:
                self.records += [
                    Received(resource, _value(one.body), _plain(one.attributes), one)
                    for one in scope.log_records
                ]


def _plain(pairs: Sequence[KeyValue]) -> dict[str, Any]:
    return {pair.key: _value(pair.value) for pair in pairs}


def _value(value: AnyValue) -> Any:  # noqa: ANN401  a value of any type
    which = value.WhichOneof("value")
    return getattr(value, which) if which else None


@contextmanager
def receiving_logs() -> Iterator[LogReceiver]:
    """Run a receiver on a port of its own."""
    receiver = LogReceiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            if self.headers["content-encoding"] == "gzip":
                body = gzip.decompress(body)
            receiver.take(ExportLogsServiceRequest.FromString(body))
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    receiver.endpoint = f"http://127.0.0.1:{server.server_port}"
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
