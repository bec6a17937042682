"""Serves the page of metrics over HTTP.

The server of `prometheus_client` keeps one thread for each idle connection. Here an idle
connection is closed after some seconds, or as soon as its place is needed.
"""

import asyncio
import logging
import os
import socket
import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from typing import Final, NamedTuple

from inventory_grpc.application.failures import bug

_log = logging.getLogger(__name__)

PATH: Final = "/metrics"
HEALTH: Final = "/healthz"

MAX_CONNECTIONS: Final = 16
MAX_HEADER: Final = 8 * 1024
SECONDS: Final = 5.0
"""The longest time that a connection stays open, with its TLS handshake."""

_FAULTS_OF_SCRAPERS: Final = (
    OSError,  # also of the TLS handshake
    TimeoutError,
    asyncio.IncompleteReadError,
    asyncio.LimitOverrunError,
)
"""A connection that raises one of these is closed without an answer."""

_PLAIN: Final = "text/plain; charset=utf-8"


class Rendered(NamedTuple):
    """The page, in the format that the scraper accepts."""

    content_type: str
    text: bytes


Render = Callable[[str], Awaitable[Rendered]]
"""Renders the page; the argument is the header `accept`."""

MayRead = Callable[[str | None, Sequence[str]], bool]
"""Decides by the header `authorization` and the names in the client certificate."""

Illness = Callable[[], str | None]
"""Returns why the process is unhealthy; None if it is not."""

Encryption = Callable[[], ssl.SSLContext]
"""Returns the TLS context for a new connection."""


def anybody(_header: str | None, _names: Sequence[str]) -> bool:
    return True


class Page:
    """Answers `GET /metrics`, one request for each connection; with *illness* also `/healthz`."""

    def __init__(
        self,
        render: Render,
        may_read: MayRead = anybody,
        encryption: Encryption | None = None,
        illness: Illness | None = None,
    ) -> None:
        self._render = render
        self._illness = illness
        self._may_read = may_read
        self._encryption = encryption
        self._open: set[asyncio.Task[None]] = set()
        self._waiting: dict[asyncio.Task[None], None] = {}
        """The connections that have not sent a whole request yet, oldest first."""

    def accept(self, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve a new connection; if there are too many, close the oldest idle one for it.

        It counts from here on. `start_server(ssl=…)` would call this after the handshake, and an
        unlimited number of connections could be in one.
        """
        if len(self._open) >= MAX_CONNECTIONS and not self._close_idle():
            writer.transport.abort()
            return
        connection = _taken_from(writer)
        task = asyncio.get_running_loop().create_task(self._serve(connection))
        self._open.add(task)
        self._waiting[task] = None
        task.add_done_callback(self._forget)
        # not in the task itself: a task that is cancelled before its first step runs no code
        task.add_done_callback(lambda _: connection.close())

    def close(self) -> None:
        for task in self._open:
            task.cancel()

    def _close_idle(self) -> bool:
        oldest = next(iter(self._waiting), None)
        if oldest is None:
            return False
        self._forget(oldest)
        return oldest.cancel()

    def _forget(self, task: asyncio.Task[None]) -> None:
        self._open.discard(task)
        self._waiting.pop(task, None)

    async def _serve(self, connection: socket.socket) -> None:
        with suppress(*_FAULTS_OF_SCRAPERS):
            async with asyncio.timeout(SECONDS):
                encryption = self._encryption() if self._encryption else None
                reader, writer = await _streams(connection, encryption)
                try:
                    await self._answer_one(reader, writer)
                finally:
                    writer.transport.abort()

    async def _answer_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        head = await reader.readuntil(b"\r\n\r\n")
        self._waiting.pop(task, None)
        answer = await self._answer(head, writer)
        if writer.is_closing():
            return  # the scraper is gone, and uvloop raises an error for any further use
        # `drain` returns when all is sent; with `high=0` it hangs, because asyncio's TLS transport
        # then pauses an empty buffer
        writer.transport.set_write_buffer_limits(high=1, low=0)
        writer.write(answer)
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    async def _answer(self, head: bytes, writer: asyncio.StreamWriter) -> bytes:
        request, *lines = head.decode("latin-1").split("\r\n")
        method, _, rest = request.partition(" ")
        headers = {
            name.strip().lower(): value.strip()
            for name, _, value in (line.partition(":") for line in lines)
        }
        if method != "GET":
            return _response("405 Method Not Allowed", {"allow": "GET"})
        path = rest.partition(" ")[0].partition("?")[0]
        if path == HEALTH and self._illness is not None:
            ill = self._illness()
            status = "503 Service Unavailable" if ill else "200 OK"
            return _response(status, text=f"{ill or 'serving'}\n".encode())
        if path != PATH:
            return _response("404 Not Found")
        if not self._may_read(headers.get("authorization"), _names(writer)):
            return _response("401 Unauthorized", {"www-authenticate": "Bearer"})
        try:
            content_type, text = await self._render(headers.get("accept", ""))
        except Exception as error:  # noqa: BLE001  the server goes on, and the scraper gets a status
            bug(_log, error, "the page of metrics")
            return _response("500 Internal Server Error")
        return _response("200 OK", {"content-type": content_type}, text)


def _taken_from(writer: asyncio.StreamWriter) -> socket.socket:
    """Return the connection of *writer*, which has read nothing yet and is closed.

    `start_tls` would lose the first bytes of the handshake where the event loop is uvloop.
    """
    accepted: socket.socket = writer.get_extra_info("socket")
    try:
        connection = socket.socket(fileno=os.dup(accepted.fileno()))
    finally:
        writer.transport.abort()
    connection.setblocking(False)  # noqa: FBT003  the standard library's signature
    return connection


async def _streams(
    connection: socket.socket, encryption: ssl.SSLContext | None
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Return the streams of *connection*, after the TLS handshake if there is one."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(MAX_HEADER)
    protocol = asyncio.StreamReaderProtocol(reader)
    transport, _ = await loop.connect_accepted_socket(
        lambda: protocol,
        connection,
        ssl=encryption,
        ssl_handshake_timeout=SECONDS if encryption else None,
    )
    return reader, asyncio.StreamWriter(transport, protocol, reader, loop)


def _names(writer: asyncio.StreamWriter) -> Sequence[str]:
    """Return the subject alternative names in the client certificate."""
    link: ssl.SSLObject | None = writer.get_extra_info("ssl_object")
    shown = link.getpeercert() if link else None
    names: Sequence[tuple[str, str]] = shown.get("subjectAltName", ()) if shown else ()  # type: ignore[assignment]  # the stubs allow any value
    return [name for _, name in names]


def _response(status: str, headers: Mapping[str, str] | None = None, text: bytes = b"") -> bytes:
    text = text or f"{status}\n".encode()
    all_headers = {
        "content-type": _PLAIN,
        "content-length": str(len(text)),
        "connection": "close",
        **(headers or {}),
    }
    lines = [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in all_headers.items())]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + text
