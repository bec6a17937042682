"""The metrics of all workers, which their supervisor serves on one page."""

import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from inventory_grpc.addresses import AUTO, UNIX
from inventory_grpc.application.background import repeat
from inventory_grpc.infrastructure.callers_file import CallersFile
from inventory_grpc.server.metrics_page import check_installed, metrics_page
from inventory_grpc.settings import Settings
from inventory_grpc.telemetry.merge import fetch, merge
from inventory_grpc.telemetry.page import Rendered

_log = logging.getLogger(__name__)

CALLERS_EVERY_SECONDS: Final = 1.0


@asynccontextmanager
async def metrics_of_workers(
    settings: Settings, restarts: Mapping[int, int]
) -> AsyncIterator[Path | None]:
    """Serve the page while inside, if it is wanted; yield the folder for the workers' sockets.

    *restarts* has the number of each worker, and how often it was replaced.

    Raises:
        BadSetting: the extra is missing.
        OSError: the operator has named the address, and it or the sockets cannot be bound.
    """
    if settings.metrics_listen is None:
        yield None
        return
    check_installed(settings)
    callers = CallersFile(settings.callers) if settings.callers else None
    with ExitStack() as stack:
        try:
            folder = stack.enter_context(_folder_for_sockets(max(restarts)))
        except OSError as error:
            reason = error.strerror or error
            problem = f"the temporary folder cannot have the sockets of workers: {reason}"
            if settings.metrics_listen != AUTO:
                raise OSError(
                    f"metrics_listen: {problem}; set TMPDIR to a folder with a short path"
                ) from error
            _log.warning("metrics are not served: %s", problem)
            yield None
            return

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


@contextmanager
def _folder_for_sockets(longest: int) -> Iterator[Path]:
    """Yield a folder that only this user may enter, in which sockets with these names can be bound.

    Raises:
        OSError: there is no temporary folder, or its path is too long for a socket.
    """
    with TemporaryDirectory(prefix="inventory-") as name:
        path = Path(name) / str(longest)
        with socket.socket(socket.AF_UNIX) as one:
            try:
                one.bind(str(path))
            except OSError as error:
                raise OSError(f"{path}: {error.strerror or error}") from error
        path.unlink()
        yield Path(name)


def of_worker(settings: Settings, folder: Path | None, worker: int) -> Settings:
    """Return the settings of a worker, which serves its metrics on a socket in *folder*."""
    return replace(settings, metrics_listen=f"{UNIX}{folder / str(worker)}" if folder else None)


async def _reload(callers: CallersFile) -> None:
    async def reload() -> None:
        callers.reload()

    await repeat("the reload of the callers file", reload, CALLERS_EVERY_SECONDS)
