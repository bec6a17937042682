"""The metrics of all workers, which their supervisor serves on one page."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from inventory_grpc.application.background import repeat
from inventory_grpc.infrastructure.callers_file import CallersFile
from inventory_grpc.server.metrics_page import check_installed, metrics_page
from inventory_grpc.settings import UNIX, Settings
from inventory_grpc.telemetry.merge import fetch, merge
from inventory_grpc.telemetry.page import Rendered

CALLERS_EVERY_SECONDS: Final = 1.0


@asynccontextmanager
async def metrics_of_workers(
    settings: Settings, restarts: Mapping[int, int]
) -> AsyncIterator[Path | None]:
    """Serve the page while inside, if it is wanted; yield the folder for the workers' sockets.

    *restarts* has the number of each worker, and how often it was replaced.

    Raises:
        BadSetting: the extra is missing.
        OSError: the address cannot be bound.
    """
    if settings.metrics_listen is None:
        yield None
        return
    check_installed(settings)
    callers = CallersFile(settings.callers) if settings.callers else None
    with TemporaryDirectory(prefix="inventory-") as name:  # only this user may enter it
        folder = Path(name)

        async def render(accept: str) -> Rendered:
            fetched = (fetch(folder / str(worker), accept) for worker in restarts)
            pages = await asyncio.gather(*fetched)
            return merge(dict(zip(restarts, pages, strict=True)), restarts)

        async with metrics_page(settings, render, callers) as address:
            reloading = asyncio.create_task(_reload(callers)) if callers else None
            try:
                yield folder if address else None
            finally:
                if reloading:
                    reloading.cancel()


def of_worker(settings: Settings, folder: Path | None, worker: int) -> Settings:
    """Return the settings of a worker, which serves its metrics on a socket in *folder*."""
    return replace(settings, metrics_listen=f"{UNIX}{folder / str(worker)}" if folder else None)


async def _reload(callers: CallersFile) -> None:
    async def reload() -> None:
        callers.reload()

    await repeat("the reload of the callers file", reload, CALLERS_EVERY_SECONDS)
