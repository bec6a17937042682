"""Serves the console until SIGTERM or Ctrl-C."""

import asyncio
import signal
import socket
from collections.abc import Callable, Sequence
from typing import Final

import uvicorn

from inventory_grpc.console.app import Console
from inventory_grpc.console.options import Options
from inventory_grpc.console.streams import MAX_STREAMS

MAX_CONNECTIONS: Final = 2 * MAX_STREAMS + 50
"""The most connections; a further request gets a 503."""

MAX_HEADER_BYTES: Final = 16_384
STOP_SECONDS: Final = 5


def serve(options: Options, ready: Callable[[str], None]) -> None:
    """Serve; call *ready* with the URL.

    Raises:
        OSError: the address cannot be bound, or a certificate cannot be read.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        # uvicorn raises the signal again when it has stopped, which is no failure
        signal.signal(number, lambda *_: None)
    with _listening(options.host, options.port) as listening:
        name = f"[{options.host}]" if ":" in options.host else options.host
        scheme = "https" if options.signs_in else "http"
        url = f"{scheme}://{name}:{listening.getsockname()[1]}"
        asyncio.run(_serve(options, listening, lambda: ready(url)))


async def _serve(options: Options, listening: socket.socket, ready: Callable[[], None]) -> None:
    console = Console(options)
    config = uvicorn.Config(
        console.app(),
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        ws="none",
        http="h11",
        h11_max_incomplete_event_size=MAX_HEADER_BYTES,
        limit_concurrency=MAX_CONNECTIONS,
        timeout_graceful_shutdown=STOP_SECONDS,
        ssl_certfile=options.tls_certificate,
        ssl_keyfile=options.tls_key,
    )
    await _Server(config, console, ready).serve([listening])


class _Server(uvicorn.Server):
    """It ends the event streams before it waits for the connections to close."""

    def __init__(self, config: uvicorn.Config, console: Console, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._console = console
        self._ready = ready

    async def startup(self, sockets: Sequence[socket.socket] | None = None) -> None:
        await super().startup([*sockets] if sockets else None)
        if self.started:
            self._ready()

    async def shutdown(self, sockets: Sequence[socket.socket] | None = None) -> None:
        self._console.streams.close()
        await super().shutdown([*sockets] if sockets else None)


def _listening(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        raise OSError(
            f"cannot listen on {host}:{port}:"
            " the port is in use, or the address is not this machine's"
        ) from error
