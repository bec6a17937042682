"""A caller that costs next to nothing: just enough of HTTP/2 for gRPC calls.

A generator of load shares the machine with the server it measures. A call through
`grpc.aio` costs its caller as much as it costs an empty server; here it costs a tenth of
that, because the headers of a call are the same bytes each time and responses are only
looked at for how they ended, and handed on as bytes to whoever wants them.
"""

import asyncio
import struct
from collections.abc import Callable
from typing import Final

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
"""So much is taken in before the server is told that there is room again."""

Answered = Callable[[int, bytes], None]
"""Told the stream of each call that is over, and its trailers, not decoded."""

Received = Callable[[int, bytes], None]
"""Told the stream of each message that came, and the message."""


class CallFailed(Exception):
    """A call, or the connection it was on, ended as it should not."""


class Connection(asyncio.Protocol):
    """A connection on which any number of calls are under way.

    What is sent while answers are handed out leaves together, when all are handed out.
    Messages are put together only if somebody is to be told of them.
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
        self._taken: dict[int, int] = {0: 0}  # bytes by stream, 0 for all; not yet reported
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Done when its user has finished; has an exception if something failed before."""

    @property
    def room(self) -> int:
        """How many bytes the server would take now."""
        return self._outgoing.room

    def begin(self, headers: bytes, message: bytes) -> int:
        """Make a call with one message; return its stream. It leaves with the next `flush`."""
        stream = self.open(headers)
        self.send(stream, message, last=True)
        return stream

    def open(self, headers: bytes) -> int:
        """Begin a call whose messages are still to be sent; return its stream."""
        self._stream += 2
        self._unsent.append(frame(HEADERS, END_HEADERS, self._stream, headers))
        return self._stream

    def send(self, stream: int, message: bytes, *, last: bool = False) -> None:
        """Send one more message of a call, as soon as the server has room for it."""
        self._outgoing.send(stream, prefixed(message), last=last)

    def end(self, stream: int) -> None:
        """Tell the server that there are no more messages."""
        self._outgoing.send(stream, b"", last=True)

    def give_up(self, stream: int) -> None:
        """Tell the server that nobody waits for an answer any more."""
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
            self.ended.exception()  # it need not have been looked at
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
        """Tell the server in time that it may send more."""
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
                self._heed(payload)
        elif kind == PING:
            if not flags & ACK:
                self._unsent.append(frame(PING, ACK, 0, payload))
        elif kind in {RST_STREAM, GOAWAY}:
            self.fail(f"the server ended it: {payload!r}")

    def _heed(self, payload: bytes) -> None:
        for number, value in settings(payload):
            if number == INITIAL_WINDOW:
                self._outgoing.resize(value)
        self._unsent.append(frame(SETTINGS, ACK, 0, b""))

    def fail(self, why: str) -> None:
        """Have its user told that something went wrong."""
        if not self.ended.done():
            self.ended.set_exception(CallFailed(why))
