"""A caller that costs next to nothing: just enough of HTTP/2 for unary gRPC calls.

A generator of load shares the machine with the server it measures. A call through
`grpc.aio` costs its caller as much as it costs an empty server; here it costs a tenth of
that, because the headers of a call are the same bytes each time and responses are only
looked at for how they ended.
"""

import asyncio
import struct
from collections.abc import Callable
from typing import Final

DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
END_STREAM, ACK, END_HEADERS = 1, 1, 4

_PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_FRAME: Final = struct.Struct(">HBBBI")  # length (in two parts), kind, flags, stream
_WINDOW: Final = 65_535  # bytes that either side may send before it is told of more
_MOST: Final = 2**31 - 1
_CANCEL: Final = 8

_SETTINGS: Final = struct.pack(
    ">HIHIHI",
    *(1, 0),  # headers are not to be compressed by what was sent before: `OK` can be looked for
    *(2, 0),  # no push
    *(4, _MOST),  # a response is never held back
)
OK: Final = b"\x0bgrpc-status\x010"
"""What trailers hold if the call succeeded: name and value, each after its length."""

Answered = Callable[[int, bytes], None]
"""Told the stream of each call that is over, and its trailers, not decoded."""


class CallFailed(Exception):
    """A call, or the connection it was on, ended as it should not."""


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    length = len(payload)
    return _FRAME.pack(length >> 8, length & 255, kind, flags, stream) + payload


def headers_of_call(authority: str, path: str, timeout: str = "") -> bytes:
    """Return the headers of a call of the method at *path*, compressed by nothing.

    *timeout* is as gRPC writes it: `500m` is half a second.
    """
    # 0x83 is `:method: POST`, 0x86 `:scheme: http`; the names of the next three have numbers
    return b"\x83\x86" + b"".join(
        (
            b"\x04" + _text(path),
            b"\x01" + _text(authority),
            b"\x0f\x10" + _text("application/grpc"),
            b"\x00" + _text("te") + _text("trailers"),
            b"\x00" + _text("grpc-timeout") + _text(timeout) if timeout else b"",
        )
    )


def _text(text: str) -> bytes:
    assert len(text) < 127  # noqa: PLR2004  of more, the length takes more than a byte
    return bytes([len(text)]) + text.encode()


class Connection(asyncio.Protocol):
    """A connection on which any number of calls are under way.

    Calls begun while answers are handed out leave together, when all are handed out.
    """

    def __init__(self, answered: Answered) -> None:
        self._answered = answered
        self._transport: asyncio.Transport | None = None
        self._unread = b""
        self._unsent: list[bytes] = []
        self._stream = -1
        self._window = _WINDOW
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Done when its user has finished; has an exception if something failed before."""

    @property
    def room(self) -> int:
        """How many bytes the server would take now."""
        return self._window

    def begin(self, headers: bytes, message: bytes) -> int:
        """Begin a call; return its stream. It leaves with the next `flush`."""
        self._stream += 2
        length = len(message) + 5
        self._window -= length
        if self._window < 0:
            self.fail("the server does not take what it is sent")
        self._unsent += (
            frame(HEADERS, END_HEADERS, self._stream, headers),
            frame(DATA, END_STREAM, self._stream, struct.pack(">BI", 0, len(message)) + message),
        )
        return self._stream

    def give_up(self, stream: int) -> None:
        """Tell the server that nobody waits for an answer any more."""
        self._unsent.append(frame(RST_STREAM, 0, stream, struct.pack(">I", _CANCEL)))

    def flush(self) -> None:
        assert self._transport is not None
        if self._unsent:
            self._transport.write(b"".join(self._unsent))
            self._unsent.clear()

    def finish(self) -> None:
        if not self.ended.done():
            self.ended.set_result(None)

    def close(self) -> None:
        if not self.ended.cancel():
            self.ended.exception()  # it need not have been looked at
        assert self._transport is not None
        self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        grown = struct.pack(">I", _MOST - _WINDOW)
        transport.write(
            _PREFACE + frame(SETTINGS, 0, 0, _SETTINGS) + frame(WINDOW_UPDATE, 0, 0, grown)
        )

    def connection_lost(self, exc: Exception | None) -> None:
        self.fail(f"the connection was lost: {exc}")

    def data_received(self, data: bytes) -> None:
        data = self._unread + data
        at = 0
        while len(data) - at >= _FRAME.size:
            high, low, kind, flags, stream = _FRAME.unpack_from(data, at)
            end = at + _FRAME.size + (high << 8 | low)
            if len(data) < end:
                break
            if kind != DATA:
                self._take(kind, flags, stream, data[at + _FRAME.size : end])
            at = end
        self._unread = data[at:]
        self.flush()

    def _take(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        if kind == HEADERS:
            if flags & END_STREAM:
                self._answered(stream, payload)
        elif kind == WINDOW_UPDATE:
            if not stream:
                self._window += struct.unpack(">I", payload)[0]
        elif kind in {SETTINGS, PING}:
            if not flags & ACK:
                self._unsent.append(frame(kind, ACK, 0, payload if kind == PING else b""))
        elif kind in {RST_STREAM, GOAWAY}:
            self.fail(f"the server ended it: {payload!r}")

    def fail(self, why: str) -> None:
        """Have its user told that something went wrong."""
        if not self.ended.done():
            self.ended.set_exception(CallFailed(why))
