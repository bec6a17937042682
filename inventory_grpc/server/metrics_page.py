"""Serves the page of metrics on its address, with TLS and tokens where others can reach it."""

import asyncio
import errno
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from importlib.util import find_spec
from typing import Final

from inventory_grpc.addresses import AUTO, UNIX, Address
from inventory_grpc.application.access import EVERYWHERE, Callers, token_in
from inventory_grpc.application.background import repeat
from inventory_grpc.bad_setting import BadSetting
from inventory_grpc.server.page_encryption import PageEncryption
from inventory_grpc.settings import Settings
from inventory_grpc.telemetry.page import PATH, MayRead, Page, Render, anybody

_log = logging.getLogger(__name__)

RELOAD_SECONDS: Final = 10.0
"""The interval at which the files of the certificate are compared."""


def check_installed(settings: Settings) -> None:
    """Check that the library for metrics is installed, if they are served.

    Raises:
        BadSetting: an extra is missing.
    """
    if settings.metrics_listen is not None and find_spec("prometheus_client") is None:
        raise BadSetting(
            "metrics_listen: prometheus_client is not installed; "
            "pip install 'inventory-grpc[metrics]'"
        )


@asynccontextmanager
async def metrics_page(
    settings: Settings, render: Render, callers: Callers | None
) -> AsyncIterator[str | None]:
    """Serve the metrics while inside; yield the address, or None if they are not served.

    The page of a worker is not served if its socket cannot be bound, because calls matter more.

    Raises:
        OSError: the operator has named the address, and it cannot be bound.
        BadSetting: the certificate cannot be used.
    """
    address = settings.metrics_address
    is_open = address is None or address.is_loopback
    encryption = None if is_open else PageEncryption.of(settings)
    page = Page(
        render,
        anybody if is_open or callers is None else _readers_among(callers),
        encryption.current if encryption else None,
    )
    try:
        server = await _bind(page, settings)
    except OSError as error:
        listen = settings.metrics_listen
        if address is not None and listen != AUTO:
            raise OSError(f"cannot listen on {listen} for metrics: {_why(error)}") from error
        where = _shown(address) if address else listen
        _log.warning("metrics are not served on %s: %s", where, _why(error))
        yield None
        return
    where = settings.metrics_listen
    if address is not None:
        where = _shown(address._replace(port=server.sockets[0].getsockname()[1]))
        _log.info("metrics are on %s://%s%s", "https" if encryption else "http", where, PATH)
        if not is_open and callers is None:
            _log.warning("everyone who can reach %s may read the metrics", where)
    reloading = (
        asyncio.create_task(
            repeat("the reload of the certificate of metrics", encryption.reload, RELOAD_SECONDS)
        )
        if encryption
        else None
    )
    try:
        yield where
    finally:
        if reloading:
            reloading.cancel()
        server.close()
        page.close()


async def _bind(page: Page, settings: Settings) -> asyncio.Server:
    listen, address = settings.metrics_listen, settings.metrics_address
    if address is None:
        assert listen is not None
        return await asyncio.start_unix_server(page.accept, listen.removeprefix(UNIX))
    return await asyncio.start_server(page.accept, *address)


def _why(error: OSError) -> str:
    match error.errno:
        case errno.EADDRINUSE:
            return "the port is in use"
        case errno.EADDRNOTAVAIL:
            return "the address is not this machine's"
        case _:
            return error.strerror or str(error)


def _shown(address: Address | None) -> str:
    assert address is not None
    return f"[{address.host}]:{address.port}" if ":" in address.host else "{}:{}".format(*address)


def _readers_among(callers: Callers) -> MayRead:
    """Accept callers of any role whose stores are not limited: the metrics are of all stores."""

    def may_read(header: str | None, names: Sequence[str]) -> bool:
        if header is None:
            caller = callers.by_certificate(names)
        else:
            token = token_in(header)
            caller = callers.by_token(token) if token else None
        return caller is not None and caller.scope == EVERYWHERE

    return may_read
