"""Runs a server on a database: it listens, watches the callers file, and drains on exit."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from inventory_grpc.application.background import repeat
from inventory_grpc.application.ports import WallClock
from inventory_grpc.bootstrap import Engine, build_service, engine
from inventory_grpc.infrastructure import clocks
from inventory_grpc.infrastructure.callers_file import CallersFile
from inventory_grpc.presentation.interceptors.authentication import Authenticate
from inventory_grpc.presentation.server import CallControls, drain
from inventory_grpc.server.address import warn_of_openness
from inventory_grpc.server.progress import progress_of_start
from inventory_grpc.server.tls import listen
from inventory_grpc.settings import Settings

_log = logging.getLogger(__name__)

CALLERS_EVERY_SECONDS: Final = 1.0
"""A removed or expired token is still accepted for at most this long."""


@dataclass(frozen=True)
class Served:
    address: str
    engine: Engine
    controls: CallControls


@asynccontextmanager
async def serving(
    settings: Settings, *, wall: WallClock = clocks.wall, worker: int | None = None
) -> AsyncIterator[Served]:
    """Serve from the database in *settings*; a *worker* shares its address with others.

    On exit, accepted calls are answered for up to `drain_seconds`.

    Raises:
        OSError: the address cannot be bound.
    """
    async with engine(settings, wall=wall, showing=progress_of_start) as parts:
        service = build_service(parts, settings, wall, shares_port=worker is not None)
        address = listen(service.server, settings)
        await service.server.start()
        if worker is None:
            warn_of_openness(settings)
        _log.info(
            "%s on %s from %s (log %s, position %s, durability %s)",
            f"worker {worker} of {settings.workers} serves" if worker else "serving",
            address,
            settings.database,
            parts.event_log.log_id,
            parts.head.position,
            settings.durability.value,
        )
        callers, controls = service.callers, service.controls
        watching = (
            asyncio.create_task(_watch(callers, controls.authentication)) if callers else None
        )
        try:
            yield Served(address, parts, controls)
        finally:
            if watching:
                watching.cancel()
            await drain(
                service.server, controls, service.servicers, parts.head, settings.drain_seconds
            )


async def _watch(callers: CallersFile, authentication: Authenticate) -> None:
    """Reload the callers file, and end the streams of removed callers."""

    async def reload() -> None:
        callers.reload()
        authentication.end_revoked()

    await repeat("the reload of the callers file", reload, CALLERS_EVERY_SECONDS)
