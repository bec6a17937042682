"""Serves the page of metrics on its address, with TLS and tokens where others can reach it."""

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from importlib.util import find_spec
from typing import Final

from inventory_grpc.application.access import EVERYWHERE, Callers, token_in
from inventory_grpc.application.background import repeat
from inventory_grpc.server.certificates import BadCertificate, Certificates
from inventory_grpc.settings import AUTO, UNIX, Address, BadSetting, Settings
from inventory_grpc.telemetry.page import PATH, SECONDS, MayRead, Page, Render, anybody

_log = logging.getLogger(__name__)

RELOAD_SECONDS: Final = 10.0
"""The interval at which the files of the certificate are compared."""


def check_installed(settings: Settings) -> None:
    """See that metrics can be made, if they are wanted.

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
    """Serve the metrics while inside; yield the address, or None where it is taken.

    Raises:
        OSError: the address was chosen, and cannot be bound.
        BadSetting: the certificate cannot be used.
    """
    address = settings.metrics_address
    is_open = address is None or address.is_loopback
    page = Page(render, anybody if is_open or callers is None else _readers_among(callers))
    encryption = None if is_open else _Encryption.of(settings)
    try:
        server = await _bind(page, settings, encryption)
    except OSError as error:
        if settings.metrics_listen != AUTO:
            raise OSError(
                f"cannot listen on {settings.metrics_listen} for metrics: the port is in use, or "
                "the address is not this machine's"
            ) from error
        _log.warning("metrics are not served: another program uses %s", _shown(address))
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


async def _bind(page: Page, settings: Settings, encryption: "_Encryption | None") -> asyncio.Server:
    listen, address = settings.metrics_listen, settings.metrics_address
    if address is None:
        assert listen is not None
        return await asyncio.start_unix_server(page.accept, listen.removeprefix(UNIX))
    return await asyncio.start_server(
        page.accept,
        *address,
        ssl=encryption.context if encryption else None,
        ssl_handshake_timeout=SECONDS if encryption else None,
    )


def _shown(address: Address | None) -> str:
    assert address is not None
    return f"[{address.host}]:{address.port}" if ":" in address.host else "{}:{}".format(*address)


def _readers_among(callers: Callers) -> MayRead:
    """Let in callers of any role whose stores are not limited: the metrics are of all stores."""

    def may_read(header: str | None, names: Sequence[str]) -> bool:
        if header is None:
            caller = callers.by_certificate(names)
        else:
            token = token_in(header)
            caller = callers.by_token(token) if token else None
        return caller is not None and caller.scope == EVERYWHERE

    return may_read


class _Encryption:
    """The certificate of the server, for the page."""

    def __init__(self, certificates: Certificates) -> None:
        self._certificates = certificates
        paths = certificates.paths
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        self.context.load_cert_chain(paths.chain, paths.key)
        if paths.authorities is not None:
            self.context.load_verify_locations(paths.authorities)
            self.context.verify_mode = ssl.CERT_REQUIRED

    @classmethod
    def of(cls, settings: Settings) -> "_Encryption | None":
        certificate, key = settings.tls_certificate, settings.tls_key
        if certificate is None or key is None:
            return None
        try:
            return cls(Certificates(certificate, key, settings.tls_client_ca, silent=True))
        except (BadCertificate, OSError) as error:
            raise BadSetting(f"tls: {error}") from None

    async def reload(self) -> None:
        """Use the files for new connections, if they were replaced."""
        if self._certificates.news() is not None:
            paths = self._certificates.paths
            self.context.load_cert_chain(paths.chain, paths.key)
