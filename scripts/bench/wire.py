"""A cheap client: the subset of HTTP/2 that gRPC calls need.

The load generator shares the machine with the server it measures. A call through `grpc.aio`
costs the client as much as an empty server; here it costs a tenth of that, because the headers
of a call are constant and responses are not decoded.
"""

import asyncio
import struct
from collections.abc import Callable
from typing import Final

from scripts.bench.figures import BenchmarkFailed
from scripts.bench.frames import (
    ACK,
    CANCEL,
    DATA,
    END_HEADERS,
    END_STREAM,
    FRAME,
    GOAWAY,
    HEADERS,
    INITIAL_WINDOW,
    MOST,
    OUR_SETTINGS,
    PING,
    PREFACE,
    RST_STREAM,
    SETTINGS,
    WINDOW,
    WINDOW_UPDATE,
    Messages,
    Outgoing,
    frame,
    more_room,
    prefixed,
    settings,
)

_REPORT_BYTES: Final = 2**28
"""Bytes received before a window update is sent."""

Answered = Callable[[int, bytes], None]
"""Called with the stream of each completed call, and its raw trailers."""

Received = Callable[[int, bytes], None]
"""Called with the stream of each message, and the message."""


class CallFailed(BenchmarkFailed):
    """A call or its connection failed."""


class Connection(asyncio.Protocol):
    """A connection with any number of concurrent calls.

    Frames sent from within callbacks are written together after the last callback. Messages are
    assembled only if *received* is given.
    """

    def __init__(self, answered: Answered, received: Received | None = None) -> None:
        self._answered = answered
        self._received = received
        self._transport: asyncio.Transport | None = None
        self._unread = b""
        self._unsent: list[bytes] = []
        self._outgoing = Outgoing(self._unsent)
        self._stream = -1
        self._messages: dict[int, Messages] = {}
        self._taken: dict[int, int] = {
            0: 0
        }  # bytes not yet reported, by stream; 0 is the connection
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Done after `finish`, with an exception after a failure."""

    @property
    def room(self) -> int:
        """The bytes that the flow-control window of the connection allows."""
        return self._outgoing.room

    def begin(self, headers: bytes, message: bytes) -> int:
        """Begin a call with one message; return its stream. The next `flush` sends it."""
        stream = self.open(headers)
        self.send(stream, message, last=True)
        return stream

    def open(self, headers: bytes) -> int:
        """Begin a call without a message; return its stream."""
        self._stream += 2
        self._unsent.append(frame(HEADERS, END_HEADERS, self._stream, headers))
        return self._stream

    def send(self, stream: int, message: bytes, *, last: bool = False) -> None:
        """Queue a message of a call; it is sent when the window allows."""
        self._outgoing.send(stream, prefixed(message), last=last)

    def end(self, stream: int) -> None:
        """Half-close a call after its last message."""
        self._outgoing.send(stream, b"", last=True)

    def give_up(self, stream: int) -> None:
        """Cancel a call."""
        self._outgoing.forget(stream)
        self._unsent.append(frame(RST_STREAM, 0, stream, struct.pack(">I", CANCEL)))

    def flush(self) -> None:
        assert self._transport is not None
        if self._unsent and not self._transport.is_closing():
            self._transport.write(b"".join(self._unsent))
            self._unsent.clear()

    def finish(self) -> None:
        if not self.ended.done():
            self.ended.set_result(None)

    def close(self) -> None:
        if not self.ended.cancel():
            self.ended.exception()  # marks it as retrieved
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(PREFACE + frame(SETTINGS, 0, 0, OUR_SETTINGS) + more_room(0, MOST - WINDOW))

    def connection_lost(self, exc: Exception | None) -> None:
        self.fail(f"the connection was lost: {exc}")

    def data_received(self, data: bytes) -> None:
        data = self._unread + data
        at = 0
        while len(data) - at >= FRAME.size:
            high, low, kind, flags, stream = FRAME.unpack_from(data, at)
            end = at + FRAME.size + (high << 8 | low)
            if len(data) < end:
                break
            if kind == DATA:
                self._take_in(0, end - at - FRAME.size)
                if self._received:
                    self._take_message(stream, data[at + FRAME.size : end])
            else:
                self._take(kind, flags, stream, data[at + FRAME.size : end])
            at = end
        self._unread = data[at:]
        self.flush()

    def _take_message(self, stream: int, data: bytes) -> None:
        assert self._received
        self._take_in(stream, len(data))
        for message in self._messages.setdefault(stream, Messages()).fed(data):
            self._received(stream, message)

    def _take_in(self, stream: int, count: int) -> None:
        """Send a window update in time."""
        taken = self._taken.get(stream, 0) + count
        if taken >= _REPORT_BYTES:
            self._unsent.append(more_room(stream, taken))
            taken = 0
        self._taken[stream] = taken

    def _take(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        if kind == HEADERS:
            if flags & END_STREAM:
                self._messages.pop(stream, None)
                self._taken.pop(stream, None)
                self._outgoing.forget(stream)
                self._answered(stream, payload)
        elif kind == WINDOW_UPDATE:
            self._outgoing.make_room(stream, struct.unpack(">I", payload)[0])
        elif kind == SETTINGS:
            if not flags & ACK:
                self._apply(payload)
        elif kind == PING:
            if not flags & ACK:
                self._unsent.append(frame(PING, ACK, 0, payload))
        elif kind in {RST_STREAM, GOAWAY}:
            self.fail(f"the server ended it: {payload!r}")

    def _apply(self, payload: bytes) -> None:
        for number, value in settings(payload):
            if number == INITIAL_WINDOW:
                self._outgoing.resize(value)
        self._unsent.append(frame(SETTINGS, ACK, 0, b""))

    def fail(self, why: str) -> None:
        """End the connection with this error."""
        if not self.ended.done():
            self.ended.set_exception(CallFailed(why))
