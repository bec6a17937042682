"""The life of a relay's process: both ends, signals, its page, and its exit code."""

import asyncio
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from pathlib import Path
from typing import Any, Final, NamedTuple

import typer

from inventory_grpc.addresses import Address
from inventory_grpc.application.background import repeat
from inventory_grpc.choices import LogFormat
from inventory_grpc.cli.common import errors, screen, show_error
from inventory_grpc.client import InventoryClient, InventoryError
from inventory_grpc.relay.following import Relay
from inventory_grpc.relay.progress import Progress
from inventory_grpc.relay.target import Overtaken, Unfit
from inventory_grpc.relay.targets import Kept, target_of
from inventory_grpc.server.logs import set_up_logging

REPORT_SECONDS: Final = 60.0
SHOW_SECONDS: Final = 0.5

_log = logging.getLogger(__name__)


class Ends(NamedTuple):
    """The target and the server, as they were named."""

    target: str
    server: str
    token_file: Path | None
    ca: Path | None
    secrets: Path | None
    place: Path | None


def run(ends: Ends, *, metrics_listen: str | None, log_format: LogFormat, **how: Any) -> None:  # noqa: ANN401  those of `Relay`
    """Publish until a signal, or the end of the log; exit with 1 if that is not possible."""
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    set_up_logging(log_format)
    with errors():
        page = Address.read("--metrics-listen", metrics_listen) if metrics_listen else None
        try:
            asyncio.run(_run(ends, page, how))
        except Overtaken as overtaken:
            show_error(f"another relay publishes to this target: {overtaken}")
            raise typer.Exit(1) from overtaken
        except (Unfit, InventoryError, ValueError) as error:
            show_error(str(error))
            raise typer.Exit(1) from error


async def _run(ends: Ends, page: Address | None, how: dict[str, Any]) -> None:
    target = target_of(ends.target, Kept(ends.secrets, ends.place))
    token = ends.token_file.read_text("utf-8").strip() if ends.token_file else None
    async with InventoryClient(ends.server, ca=ends.ca, token=token) as inventory:
        relay = Relay(inventory, target, **how)
        running = asyncio.create_task(relay.run())
        ending = list[asyncio.Task[None]]()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, lambda: ending.append(loop.create_task(relay.stop())))
        async with _page(page, relay.progress), _told(relay.progress):
            await asyncio.wait([running])
        if not running.cancelled():
            running.result()
        _log.info("published up to position %d", relay.progress.position)


@asynccontextmanager
async def _page(address: Address | None, progress: Progress) -> AsyncIterator[None]:
    if address is None:
        yield
        return
    try:
        from inventory_grpc.telemetry.relay import relay_page  # noqa: PLC0415  of an extra
    except ImportError:
        raise Unfit("--metrics-listen needs pip install 'inventory-grpc[metrics]'") from None
    try:
        serving = await relay_page(address, progress)
    except OSError as error:
        why = os.strerror(error.errno) if error.errno else str(error)
        raise Unfit(
            f"--metrics-listen: nothing can listen on {address.host}:{address.port} ({why}): name "
            "another address of this machine, or another port"
        ) from error
    with serving:
        yield


@asynccontextmanager
async def _told(progress: Progress) -> AsyncIterator[None]:
    """Tell how far the relay is: in a line that changes on a terminal, else in the log."""
    is_terminal = sys.stderr.isatty()
    with screen.status("connecting") if is_terminal else nullcontext() as status:
        sent = 0

        async def tell() -> None:
            nonlocal sent
            rate, sent = (progress.sent - sent) / SHOW_SECONDS, progress.sent
            done = f"{progress.position:,} of {progress.head:,}"
            if status is None:
                _log.info("published up to %s, %d behind", done, progress.lag)
            else:
                status.update(progress.trouble or f"published {done}, {rate:,.0f} events/s")

        every = SHOW_SECONDS if is_terminal else REPORT_SECONDS
        telling = asyncio.create_task(repeat("the report of progress", tell, every))
        try:
            yield
        finally:
            telling.cancel()
