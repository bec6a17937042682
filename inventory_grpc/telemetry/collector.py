"""Collects the metrics of a server from its parts, at each scrape.

The values of labels come from fixed sets in the code: methods, codes, reasons, facts, rooms. No
label has an id of a product, store or reservation; `actor` has at most `MAX_ACTORS` values.
"""

import asyncio
import platform
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from dataclasses import dataclass
from importlib.metadata import version
from queue import SimpleQueue

import grpc
from prometheus_client import CollectorRegistry, GCCollector, ProcessCollector
from prometheus_client.core import InfoMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from inventory_grpc.application.tally import Tally
from inventory_grpc.bootstrap import Engine, Service
from inventory_grpc.settings import Settings
from inventory_grpc.telemetry.calls import callers_and_rooms_of, calls_of
from inventory_grpc.telemetry.engine import ledger_of, reading_of, storage_of
from inventory_grpc.telemetry.families import gauge, histogram, single
from inventory_grpc.telemetry.page import Rendered


@dataclass(frozen=True)
class Sources:
    """The parts of a server that have metrics."""

    settings: Settings
    engine: Engine
    service: Service
    loop_lag: Tally
    certificate_ends: Callable[[], float | None]
    """Returns the end of the served certificate, in seconds since 1970."""


class Metrics:
    """The metrics of one process, without the label `worker`."""

    def __init__(self, sources: Sources) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(_Parts(sources))
        ProcessCollector(registry=self._registry)
        GCCollector(registry=self._registry)
        # one scrape at a time, on a thread: a hanging disk delays only the page, not the event loop
        self._thread = _Thread()

    async def render(self, accept: str) -> Rendered:
        encode, content_type = form_of(accept)
        return Rendered(content_type, await self._thread.run(lambda: encode(self._registry)))

    def close(self) -> None:
        self._thread.end()


class _Thread:
    """Runs work in order on one thread.

    It is not a thread of a pool, because Python waits for those at its exit even if they hang.
    """

    def __init__(self) -> None:
        self._waiting: SimpleQueue[tuple[Future[bytes], Callable[[], bytes]] | None] = SimpleQueue()
        threading.Thread(target=self._work, name="metrics", daemon=True).start()

    async def run(self, work: Callable[[], bytes]) -> bytes:
        future = Future[bytes]()
        self._waiting.put((future, work))
        return await asyncio.wrap_future(future)

    def end(self) -> None:
        """End the thread after its queued work, without waiting for it."""
        self._waiting.put(None)

    def _work(self) -> None:
        while (one := self._waiting.get()) is not None:
            future, work = one
            if not future.set_running_or_notify_cancel():
                continue
            try:
                future.set_result(work())
            except Exception as error:  # noqa: BLE001  `run` raises it
                future.set_exception(error)


def form_of(accept: str) -> tuple[Callable[[CollectorRegistry], bytes], str]:
    """Return the encoder for the header *accept*, and the content type."""
    try:
        return choose_encoder(accept)
    except (TypeError, ValueError):  # raised by the library for a version that is no number
        return choose_encoder("")


class _Parts(Collector):
    """Makes the families. It runs on a thread, so it copies dictionaries that may grow."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources

    def describe(self) -> Iterable[Metric]:
        """Return nothing; otherwise the library would collect once to register."""
        return ()

    def collect(self) -> Iterable[Metric]:
        engine, service = self._sources.engine, self._sources.service
        yield from calls_of(service.controls.counts.methods)
        yield from callers_and_rooms_of(service)
        yield from ledger_of(engine)
        yield from storage_of(engine)
        yield from reading_of(engine, service)
        yield from self._process()

    def _process(self) -> Iterable[Metric]:
        sources = self._sources
        lag = [((), sources.loop_lag)]
        yield histogram(
            "inventory_event_loop_lag_seconds", "Delay of timers on the event loop.", (), lag
        )
        facts = {
            "version": version("inventory-grpc"),
            "log_id": sources.engine.event_log.log_id,
            "durability": sources.settings.durability.value,
            "storage": sources.engine.footprint.engine,
            "grpc": grpc.__version__,
            "python": platform.python_version(),
        }
        yield InfoMetricFamily("inventory_build", "The versions and settings of the server.", facts)
        if (ends := sources.certificate_ends()) is not None:
            yield gauge(
                "inventory_certificate_expiry_timestamp_seconds",
                "The end of the served certificate, in seconds since 1970.",
                (),
                single(ends),
            )
