"""Runs a server on a database: it listens, watches the callers file, and drains on exit."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from inventory_grpc.application.background import repeat
from inventory_grpc.application.ports import MonotonicClock, WallClock
from inventory_grpc.application.tally import Tally
from inventory_grpc.bootstrap import Engine, Service, build_service, engine
from inventory_grpc.infrastructure import clocks
from inventory_grpc.presentation.server import CallControls, drain
from inventory_grpc.server.address import cannot_listen, is_free, warn_of_openness
from inventory_grpc.server.metrics import metrics
from inventory_grpc.server.progress import progress_of_start
from inventory_grpc.server.tls import Tls, listen
from inventory_grpc.server.tracing import tracing
from inventory_grpc.settings import Settings

_log = logging.getLogger(__name__)

CALLERS_EVERY_SECONDS: Final = 1.0
"""A removed or expired token is still accepted for at most this long."""


@dataclass(frozen=True)
class Served:
    address: str
    engine: Engine
    controls: CallControls
    loop_lag: Tally
    metrics: str | None
    """The address of the metrics, if they are served."""


@asynccontextmanager
async def serving(
    settings: Settings,
    *,
    wall: WallClock = clocks.wall,
    monotonic: MonotonicClock = clocks.monotonic,
    worker: int | None = None,
) -> AsyncIterator[Served]:
    """Serve from the database in *settings*; a *worker* shares its address with others.

    On exit, accepted calls are answered for up to `drain_seconds`.

    Raises:
        OSError: the address cannot be bound; no database was created or upgraded for that.
    """
    if worker is None and not is_free(settings):
        raise cannot_listen(settings)
    async with (
        tracing(settings, worker) as traced,
        engine(settings, wall=wall, monotonic=monotonic, showing=progress_of_start) as parts,
    ):
        service = build_service(
            parts, settings, wall, shares_port=worker is not None, tracing=traced
        )
        tls = Tls.of(settings)
        address = listen(service.server, settings, tls)
        lag, is_worker = Tally(), worker is not None
        async with metrics(settings, parts, service, lag, tls, is_worker=is_worker) as page:
            await service.server.start()
            if worker is None:
                warn_of_openness(settings)
            _log.info(
                "%s on %s from %s (log %s, position %s, durability %s, event loop %s)",
                f"worker {worker} of {settings.workers} serves" if worker else "serving",
                address,
                settings.database,
                parts.event_log.log_id,
                parts.head.position,
                settings.durability.value,
                type(asyncio.get_running_loop()).__module__.partition(".")[0],
            )
            watching = _watch(service) if service.callers else None
            try:
                yield Served(address, parts, service.controls, lag, page)
            finally:
                if watching:
                    watching.cancel()
                await drain(
                    service.server,
                    service.controls,
                    service.servicers,
                    parts.head,
                    settings.drain_seconds,
                )


def _watch(service: Service) -> asyncio.Task[None]:
    """Reload the callers file, and end the streams of removed callers."""

    async def reload() -> None:
        assert service.callers is not None
        service.callers.reload()
        service.controls.authentication.end_revoked()

    return asyncio.create_task(
        repeat("the reload of the callers file", reload, CALLERS_EVERY_SECONDS)
    )
