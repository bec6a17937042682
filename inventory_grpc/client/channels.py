"""Opens channels, with their encryption, trust and proxy.

A token is sent only over TLS, or to this machine without a proxy.
"""

import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

import grpc

from inventory_grpc.client.address import checked_address, is_here, is_unix
from inventory_grpc.client.tokens import checked_token

OPTIONS: Final = (
    # Keepalive detects a dead connection even while a follower only reads. The server allows a
    # ping every 30 seconds, and disconnects clients that ping more often.
    ("grpc.keepalive_time_ms", 45_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    # By default gRPC waits up to two minutes between attempts to connect, and calls fail meanwhile.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 5_000),
    # Only transparent retries remain, of requests that the server never saw. A retry policy
    # from a name server would multiply the client's own retries.
    ("grpc.service_config_disable_resolution", 1),
    # Channels must not share a connection, so that its calls can be counted.
    ("grpc.use_local_subchannel_pool", 1),
)

NO_PROXY: Final = (
    # No proxy from grpc_proxy, https_proxy or http_proxy ...
    ("grpc.enable_http_proxy", 0),
    # ... and none from GRPC_ADDRESS_HTTP_PROXY, which the first option does not disable.
    ("grpc.address_http_proxy_enabled_addresses", ""),
)

_PEM: Final = "-----BEGIN"


@dataclass(frozen=True)
class Route:
    """The way to a server: each channel that is opened takes it."""

    address: str
    credentials: grpc.ChannelCredentials | None
    options: tuple[tuple[str, Any], ...]

    @classmethod
    def to(
        cls,
        address: str,
        *,
        credentials: grpc.ChannelCredentials | None,
        ca: str | Path | bytes | None,
        token: str | None,
    ) -> Self:
        """Return the way to *address*.

        Raises:
            OSError: the file *ca* cannot be read.
            TypeError: a value has the wrong type.
            ValueError: a value is invalid, or the token would be sent unencrypted.
        """
        here = is_here(checked_address(address))
        if credentials is not None and not isinstance(credentials, grpc.ChannelCredentials):
            raise TypeError(
                "credentials must be made by gRPC, such as by ssl_channel_credentials()"
            )
        if ca is not None:
            if credentials is not None:
                raise ValueError("ca and credentials exclude each other")
            credentials = grpc.ssl_channel_credentials(_authorities(ca))
        encrypted = _is_tls(credentials)
        in_the_clear = credentials is None and token is None
        proxied = not here and (encrypted or in_the_clear)
        if token is not None:
            if credentials is None:
                credentials = _local(address)
            credentials = grpc.composite_channel_credentials(
                credentials, grpc.access_token_call_credentials(checked_token(token))
            )
        return cls(address, credentials, OPTIONS if proxied else OPTIONS + NO_PROXY)

    def open_channel(self) -> grpc.aio.Channel:
        if self.credentials is None:
            return grpc.aio.insecure_channel(self.address, self.options)
        return grpc.aio.secure_channel(self.address, self.credentials, self.options)

    def open_blocking_channel(self) -> grpc.Channel:
        if self.credentials is None:
            return grpc.insecure_channel(self.address, self.options)
        return grpc.secure_channel(self.address, self.credentials, self.options)


def _local(address: str) -> grpc.ChannelCredentials:
    """Return credentials that send a token only if the peer is on this machine."""
    if not is_here(address):
        raise ValueError(
            f"a token is not sent to {address} without encryption: give `ca` (or `credentials`)"
            " for TLS, or reach this machine as `localhost` or 127.0.0.1"
        )
    kind = grpc.LocalConnectionType
    return grpc.local_channel_credentials(kind.UDS if is_unix(address) else kind.LOCAL_TCP)


def _is_tls(credentials: grpc.ChannelCredentials | None) -> bool:
    """Return whether they are certainly TLS; other credentials may not encrypt."""
    inner = getattr(credentials, "_credentials", None)
    return type(inner).__name__ == "SSLChannelCredentials"


def _authorities(ca: str | Path | bytes) -> bytes:
    if not isinstance(ca, str | Path | bytes):
        raise TypeError(f"ca must be a path, or the bytes of a PEM file, not {ca!r:.80}")
    pem = ca.encode() if isinstance(ca, str) and _PEM in ca else ca
    what = "ca" if isinstance(pem, bytes) else f"ca, {pem},"
    if not isinstance(pem, bytes):
        pem = Path(pem).read_bytes()
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(
            cadata=pem.decode("ascii", "ignore")
        )
    except (ssl.SSLError, ValueError) as error:
        raise ValueError(f"{what} has no valid certificate in PEM form") from error
    return pem
