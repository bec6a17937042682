"""The page of a relay: its metrics, and whether it is healthy."""

import asyncio
import logging
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from inventory_grpc.addresses import Address
from inventory_grpc.relay.progress import Progress
from inventory_grpc.telemetry.collector import form_of
from inventory_grpc.telemetry.families import counter, gauge, single
from inventory_grpc.telemetry.page import Page, Rendered

_log = logging.getLogger(__name__)


async def relay_page(address: Address, progress: Progress) -> AbstractContextManager[None]:
    """Serve `/metrics` and `/healthz` of a relay on *address* until the end of the context.

    Raises:
        OSError: the address cannot be bound.
    """
    registry = CollectorRegistry()
    registry.register(_Relay(progress))
    ProcessCollector(registry=registry)

    async def render(accept: str) -> Rendered:
        encode, content_type = form_of(accept)
        return Rendered(content_type, encode(registry))

    page = Page(render, illness=progress.illness)
    server = await asyncio.start_server(page.accept, *address)
    _log.info("metrics are on port %d", server.sockets[0].getsockname()[1])
    return _closing(server, page)


@contextmanager
def _closing(server: asyncio.Server, page: Page) -> Iterator[None]:
    try:
        yield
    finally:
        server.close()
        page.close()


class _Relay(Collector):
    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def collect(self) -> Iterable[Metric]:
        one = self._progress
        for name, value, help_text in (
            ("position", one.position, "Position up to which every matching event is published."),
            ("lag_events", one.lag, "Events after that position, as the server told last."),
            (
                "still_seconds",
                one.still_seconds,
                "Time since it has moved, or was told that it is at the end of the log.",
            ),
            ("connected", one.is_connected, "Whether the target answered last: 1 or 0."),
            (
                "parked",
                one.is_parked,
                "Whether the target refuses the next event for good: 1 or 0.",
            ),
        ):
            yield gauge(f"inventory_relay_{name}", help_text, (), single(value))
        for name, value, help_text in (
            ("sent", one.sent, "Events published since the start."),
            ("refused", one.refused, "Batches refused because another event was the last."),
            ("failures", one.failures, "Failures to reach the target."),
        ):
            yield counter(f"inventory_relay_{name}_total", help_text, (), single(value))
