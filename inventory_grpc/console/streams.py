"""The event streams of open pages: `GET /events`."""

import asyncio
import logging
import re
from contextlib import aclosing
from typing import Final

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

from inventory_grpc.console.viewers import SignInFirst, Viewer, Viewers

_log = logging.getLogger(__name__)

MAX_STREAMS: Final = 100
"""The most event streams that are open at a time."""

STALLED_SECONDS: Final = 60.0
"""A page that takes nothing for so long is disconnected."""

_POSITION: Final = re.compile(r"[0-9]{1,15}", re.ASCII)


class Streams:
    def __init__(self, viewers: Viewers) -> None:
        self._viewers = viewers
        self._open: set[asyncio.Task[None]] = set()
        self._is_closing = False

    def __len__(self) -> int:
        return len(self._open)

    def close(self) -> None:
        """End all streams, and open no more, so that the process can stop."""
        self._is_closing = True
        for stream in self._open:
            stream.cancel()

    async def open(self, request: Request) -> Response:
        """Answer with the events after the last one that the page has."""
        try:
            viewer = await self._viewers.of(request)
        except SignInFirst:
            return PlainTextResponse("Sign in first.", 401)
        # A browser that reconnects sends the position of the last message by itself.
        after = request.headers.get("last-event-id") or request.query_params.get("after", "")
        if after and not _POSITION.fullmatch(after):
            return PlainTextResponse("after must be a position of the log.", 400)
        if len(self._open) >= MAX_STREAMS or self._is_closing:
            text = f"The console has {MAX_STREAMS} pages open, as many as it can have."
            return PlainTextResponse(text, 503, {"retry-after": "5"})
        log_id = request.query_params.get("log", "")
        return _Stream(self, viewer, int(after) if after else None, log_id)

    async def send(self, stream: "_Stream", receive: Receive, send: Send) -> None:
        """Send the messages of *stream* until it ends, or its page is closed."""
        sending = asyncio.create_task(self._send(stream, send))
        leaving = asyncio.create_task(_left(receive))
        self._open.add(sending)
        try:
            await asyncio.wait({sending, leaving}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (sending, leaving):
                task.cancel()
            ended, _ = await asyncio.gather(sending, leaving, return_exceptions=True)
            self._open.discard(sending)
            if isinstance(ended, Exception) and not isinstance(ended, TimeoutError):
                _log.error("an event stream ended with an error", exc_info=ended)

    async def _send(self, stream: "_Stream", send: Send) -> None:
        await send(
            {
                "type": "http.response.start",
                "status": 200,
                "headers": [(b"content-type", b"text/event-stream; charset=utf-8")],
            }
        )
        following = stream.viewer.feed.follow(stream.after, stream.log_id)
        async with aclosing(following) as messages:
            async for message in messages:
                async with asyncio.timeout(STALLED_SECONDS):
                    await send({"type": "http.response.body", "body": message, "more_body": True})
                if not self._viewers.is_here(stream.viewer):
                    break
        await send({"type": "http.response.body", "body": b"", "more_body": False})


class _Stream(Response):
    """An answer without an end."""

    def __init__(self, streams: Streams, viewer: Viewer, after: int | None, log_id: str) -> None:
        self._streams = streams
        self.viewer = viewer
        self.after = after
        self.log_id = log_id
        self.background = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002  ASGI's own
        await self._streams.send(self, receive, send)


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
