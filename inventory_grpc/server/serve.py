"""Serves from a database: listens, watches the file of callers, and drains in the end."""

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
"""How long a token may still be good after it was taken out of the file, or is over."""


@dataclass(frozen=True)
class Served:
    """A server at work."""

    address: str
    engine: Engine
    controls: CallControls


@asynccontextmanager
async def serving(
    settings: Settings, *, wall: WallClock = clocks.wall, worker: int | None = None
) -> AsyncIterator[Served]:
    """Serve from the database in *settings*; a *worker* shares its address with others.

    On leaving, accepted calls are answered, for as long as `drain_seconds`.

    Raises:
        OSError: the address cannot be had.
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
    """Follow the file of callers, and end streams of callers who are not in it any more."""

    async def look() -> None:
        callers.reload()
        authentication.end_revoked()

    await repeat("the look at the file of callers", look, CALLERS_EVERY_SECONDS)
