"""The page of metrics over HTTP, for a scraper.

`prometheus_client` has a server of its own: with 200 idle connections it keeps 200 threads for
ever. Here an idle connection is closed after some seconds, or as soon as its place is needed.
"""

import asyncio
import logging
import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final, NamedTuple

from inventory_grpc.application.failures import bug

_log = logging.getLogger(__name__)

PATH: Final = "/metrics"

MAX_CONNECTIONS: Final = 16
MAX_HEADER: Final = 8 * 1024
SECONDS: Final = 5.0
"""The longest time that a connection takes, whatever its other end does."""

_PLAIN: Final = "text/plain; charset=utf-8"


class Rendered(NamedTuple):
    """The page in the form that was asked for."""

    content_type: str
    text: bytes


Render = Callable[[str], Awaitable[Rendered]]
"""Makes the page; its argument is the header `accept`."""

MayRead = Callable[[str | None, Sequence[str]], bool]
"""Decides by the header `authorization`, and by the names in the certificate of a caller."""


def anybody(_header: str | None, _names: Sequence[str]) -> bool:
    return True


class Page:
    """Answers `GET /metrics`, one request a connection."""

    def __init__(self, render: Render, may_read: MayRead = anybody) -> None:
        self._render = render
        self._may_read = may_read
        self._open: set[asyncio.Task[None]] = set()
        self._waiting: dict[asyncio.Task[None], None] = {}
        """The connections that have not sent their request yet, oldest first."""

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection; where there are too many, the oldest idle one is closed for it."""
        if len(self._open) >= MAX_CONNECTIONS and not self._close_idle():
            writer.transport.abort()
            return
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._open.add(task)
        self._waiting[task] = None
        task.add_done_callback(self._forget)
        # not in the task itself: one that is cancelled before its first step runs nothing
        task.add_done_callback(lambda _: writer.transport.abort())

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

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        writer.transport.set_write_buffer_limits(0)  # `drain` returns when all is sent
        try:
            async with asyncio.timeout(SECONDS):
                head = await reader.readuntil(b"\r\n\r\n")
                self._waiting.pop(task, None)
                writer.write(await self._answer(head, writer))
                await writer.drain()
                writer.close()
                await writer.wait_closed()
        except (TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, OSError):
            pass  # a caller that sends no request, or does not take the answer

    async def _answer(self, head: bytes, writer: asyncio.StreamWriter) -> bytes:
        request, *lines = head.decode("latin-1").split("\r\n")
        method, _, rest = request.partition(" ")
        headers = {
            name.strip().lower(): value.strip()
            for name, _, value in (line.partition(":") for line in lines)
        }
        if method != "GET":
            return _response("405 Method Not Allowed", {"allow": "GET"})
        if rest.partition(" ")[0].partition("?")[0] != PATH:
            return _response("404 Not Found")
        if not self._may_read(headers.get("authorization"), _names(writer)):
            return _response("401 Unauthorized", {"www-authenticate": "Bearer"})
        try:
            content_type, text = await self._render(headers.get("accept", ""))
        except Exception as error:  # noqa: BLE001  the scraper is told, and the server goes on
            bug(_log, error, "the page of metrics")
            return _response("500 Internal Server Error")
        return _response("200 OK", {"content-type": content_type}, text)


def _names(writer: asyncio.StreamWriter) -> Sequence[str]:
    """Return the subject alternative names in the certificate that the caller has shown."""
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
