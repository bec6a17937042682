"""Reads the parts of a server when its metrics are asked for.

Labels come from closed sets of the code: methods, codes, reasons, facts, rooms. No id of a caller's
data is ever one; `actor` is bounded by `MAX_ACTORS`.
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
    """The parts that are read."""

    settings: Settings
    engine: Engine
    service: Service
    loop_lag: Tally
    certificate_ends: Callable[[], float | None]
    """Reads when the certificate that is served ends, in seconds since 1970."""


class Metrics:
    """The metrics of one process, without the label `worker`."""

    def __init__(self, sources: Sources) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(_Parts(sources))
        ProcessCollector(registry=self._registry)
        GCCollector(registry=self._registry)
        # one at a time, and not on the loop: a disk that hangs holds up nothing but the page
        self._thread = _Thread()

    async def render(self, accept: str) -> Rendered:
        encode, content_type = _form_of(accept)
        return Rendered(content_type, await self._thread.run(lambda: encode(self._registry)))

    def close(self) -> None:
        self._thread.end()


class _Thread:
    """Runs work in order on one thread.

    It is not that of a pool: Python does not exit before these have ended, however they hang.
    """

    def __init__(self) -> None:
        self._waiting: SimpleQueue[tuple[Future[bytes], Callable[[], bytes]] | None] = SimpleQueue()
        threading.Thread(target=self._work, name="metrics", daemon=True).start()

    async def run(self, work: Callable[[], bytes]) -> bytes:
        future = Future[bytes]()
        self._waiting.put((future, work))
        return await asyncio.wrap_future(future)

    def end(self) -> None:
        """End the thread after the work that waits, and wait for nothing."""
        self._waiting.put(None)

    def _work(self) -> None:
        while (one := self._waiting.get()) is not None:
            future, work = one
            if not future.set_running_or_notify_cancel():
                continue
            try:
                future.set_result(work())
            except Exception as error:  # noqa: BLE001  who waits for it is told
                future.set_exception(error)


def _form_of(accept: str) -> tuple[Callable[[CollectorRegistry], bytes], str]:
    """Return the encoder for the header *accept*, and the content type."""
    try:
        return choose_encoder(accept)
    except (TypeError, ValueError):  # of the library, when the version in it is not of numbers
        return choose_encoder("")


class _Parts(Collector):
    """Makes the families; it runs on a thread, so it copies what may grow meanwhile."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources

    def describe(self) -> Iterable[Metric]:
        """Return nothing, so that the library does not collect in order to register."""
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
            "inventory_event_loop_lag_seconds", "How late the event loop runs timers.", (), lag
        )
        facts = {
            "version": version("inventory-grpc"),
            "log_id": sources.engine.event_log.log_id,
            "durability": sources.settings.durability.value,
            "sqlite": sources.engine.footprint.engine,
            "grpc": grpc.__version__,
            "python": platform.python_version(),
        }
        yield InfoMetricFamily("inventory_build", "What runs here.", facts)
        if (ends := sources.certificate_ends()) is not None:
            yield gauge(
                "inventory_certificate_expiry_timestamp_seconds",
                "When the certificate that is served ends, since 1970.",
                (),
                single(ends),
            )
