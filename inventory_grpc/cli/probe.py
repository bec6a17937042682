"""Calls a server's health check, for `inventory-grpc health`."""

import asyncio
import os
import ssl
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import grpc
import grpc.aio
from grpc_health.v1 import health_pb2, health_pb2_grpc

from inventory_grpc.bad_setting import BadSetting
from inventory_grpc.server.x509 import names_of
from inventory_grpc.settings import Settings

_THIS_MACHINE: Final = {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "::1"}  # noqa: S104  a key
"""The address on this machine of a server that listens on all addresses."""

_OPTIONS: Final = (
    ("grpc.enable_http_proxy", 0),
    # GRPC_ADDRESS_HTTP_PROXY names another kind of proxy, which the first option does not disable.
    ("grpc.address_http_proxy_enabled_addresses", ""),
    ("grpc.enable_retries", 0),
)


@dataclass(frozen=True)
class Probe:
    """A server, and the files with which to call it."""

    server: str
    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    token_file: Path | None = None

    async def status(self, service: str, seconds: float) -> str:
        """Return the status of *service*, such as `SERVING`.

        Raises:
            BadSetting: an option is invalid.
            OSError: a file cannot be read, or the call failed or timed out.
        """
        where = _place(self.server)
        if (self.certificate is None) != (self.key is None):
            raise BadSetting("--certificate and --key: one needs the other")
        if self.token_file and not (self.ca or where.is_loopback):
            raise BadSetting("--token-file: needs --ca, or a server on this machine")
        request, metadata = health_pb2.HealthCheckRequest(service=service), self._metadata()
        try:
            async with asyncio.timeout(seconds), await self._connected(where) as channel:
                stub: Any = health_pb2_grpc.HealthStub(channel)
                answer = await stub.Check(request, metadata=metadata)
        except TimeoutError:
            raise ConnectionError(f"{where.listen} has not answered for {seconds:g} s") from None
        except grpc.aio.AioRpcError as error:
            raise ConnectionError(
                f"{where.listen}: {error.code().name}: {error.details()}"
            ) from None
        return health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status)

    def _metadata(self) -> tuple[tuple[str, str], ...]:
        if self.token_file is None:
            return ()
        token = self.token_file.read_text("utf-8", "replace").strip()
        if not (token.isascii() and token.isprintable()):
            raise BadSetting(f"--token-file: {self.token_file} holds no token")
        return (("authorization", f"Bearer {token}"),)

    async def _connected(self, where: Settings) -> grpc.aio.Channel:
        """Return a channel, with TLS if there is an authority or a local server uses TLS.

        The certificate of a server on this machine is trusted: a probe with an authority of its
        own would break when the server's certificate is renewed.
        """
        authorities = self.ca.read_bytes() if self.ca else None
        options: list[tuple[str, str | int]] = [*_OPTIONS]
        if not authorities and where.is_loopback and (shown := await _certificate_shown(where)):
            authorities = ssl.DER_cert_to_PEM_cert(shown).encode()
            name = next(iter(names_of(shown)), where.address.host).replace("*", "any")
            options.append(("grpc.ssl_target_name_override", name))
        if authorities is None:
            return grpc.aio.insecure_channel(where.listen, options=options)
        own = [path.read_bytes() if path else None for path in (self.key, self.certificate)]
        credentials = grpc.ssl_channel_credentials(authorities, *own)
        return grpc.aio.secure_channel(where.listen, credentials, options=options)


def _place(server: str) -> Settings:
    """Return settings that listen on the address of *server*.

    Raises:
        BadSetting: it is not an address.
    """
    try:
        asked = Settings(listen=server, allow_plaintext=True, allow_anonymous=True)
    except BadSetting as error:
        raise BadSetting(str(error).replace("listen", "server", 1)) from None
    named, port = asked.address
    host = _THIS_MACHINE.get(named, named)
    place = f"[{host}]" if ":" in host else host
    return replace(asked, listen=f"{place}:{port}")


async def _certificate_shown(where: Settings) -> bytes | None:
    """Return the server's certificate in DER; None if it does not use TLS."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    try:
        _, writer = await asyncio.open_connection(
            where.address.host, where.address.port, ssl=context
        )
    except (ssl.SSLError, ConnectionResetError):
        return None
    except OSError as error:
        # asyncio gives only the number, and for a name with several addresses not even that
        why = os.strerror(error.errno) if error.errno else error
        raise ConnectionError(f"{where.listen} cannot be reached: {why}") from None
    shown: bytes | None = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()
    return shown
