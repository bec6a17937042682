"""HTTP/2 frames: the subset that a gRPC client needs."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
END_STREAM, ACK, END_HEADERS = 1, 1, 4

PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
FRAME: Final = struct.Struct(">HBBBI")  # length (in two parts), kind, flags, stream
FRAME_BYTES: Final = 16_384  # the most in one frame, unless the peer sets another limit
WINDOW: Final = 65_535  # bytes that either side may send before a window update
MOST: Final = 2**31 - 1
CANCEL: Final = 8
INITIAL_WINDOW: Final = 4

OUR_SETTINGS: Final = struct.pack(
    ">HIHIHI",
    *(1, 0),  # no dynamic table, so that `OK` can be searched for in trailers
    *(2, 0),  # no push
    *(INITIAL_WINDOW, MOST),  # responses are never held back by the window
)
OK: Final = b"\x0bgrpc-status\x010"
"""Trailers of a call that succeeded contain this: name and value, each after its length."""

EXHAUSTED: Final = b"\x0bgrpc-status\x018"
"""Trailers of a call refused with RESOURCE_EXHAUSTED contain this."""

_SETTING: Final = struct.Struct(">HI")
_PREFIX: Final = struct.Struct(">BI")  # before each message: the compression flag and the length


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    length = len(payload)
    return FRAME.pack(length >> 8, length & 255, kind, flags, stream) + payload


def more_room(stream: int, count: int) -> bytes:
    """Return a window update of *count* bytes."""
    return frame(WINDOW_UPDATE, 0, stream, struct.pack(">I", count))


def settings(payload: bytes) -> Iterator[tuple[int, int]]:
    """Yield the number and the value of each setting."""
    yield from _SETTING.iter_unpack(payload)


def headers_of_call(authority: str, path: str, timeout: str = "") -> bytes:
    """Return the headers of a call of the method at *path*, without compression.

    *timeout* has the format of gRPC: `500m` is half a second.
    """
    # 0x83 is `:method: POST`, 0x86 `:scheme: http`; the next three names are in the static table
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
    assert len(text) < 127  # noqa: PLR2004  a longer length takes more than a byte
    return bytes([len(text)]) + text.encode()


def prefixed(message: bytes) -> bytes:
    """Return *message* with its length-prefix."""
    return _PREFIX.pack(0, len(message)) + message


class Messages:
    """Assembles the messages of one stream from its frames."""

    def __init__(self) -> None:
        self._data = bytearray()

    def fed(self, data: bytes) -> Iterator[bytes]:
        """Yield each message that *data* completes."""
        self._data += data
        at = 0
        while len(self._data) - at >= _PREFIX.size:
            _, length = _PREFIX.unpack_from(self._data, at)
            end = at + _PREFIX.size + length
            if len(self._data) < end:
                break
            yield bytes(self._data[at + _PREFIX.size : end])
            at = end
        del self._data[:at]


@dataclass
class _Stream:
    """The bytes queued on a stream, and its flow-control window."""

    room: int
    waiting: bytearray = field(default_factory=bytearray)
    ends: bool = False


class Outgoing:
    """Splits messages into frames within both flow-control windows of HTTP/2.

    Frames that fit are appended to *ready*; the others wait for a window update.
    """

    def __init__(self, ready: list[bytes]) -> None:
        self._ready = ready
        self._first_room = WINDOW
        self._streams: dict[int, _Stream] = {}
        self.room = WINDOW
        """The window of the connection, in bytes."""

    def send(self, stream: int, data: bytes, *, last: bool) -> None:
        """Send *data* after the bytes queued on *stream*."""
        if last and stream not in self._streams and len(data) <= min(self.room, FRAME_BYTES):
            # a call with one small message needs no state
            self.room -= len(data)
            self._ready.append(frame(DATA, END_STREAM, stream, data))
            return
        entry = self._streams.setdefault(stream, _Stream(self._first_room))
        entry.waiting += data
        entry.ends = last
        self._push(stream, entry)

    def forget(self, stream: int) -> None:
        """Drop the state of a stream that has ended."""
        self._streams.pop(stream, None)

    def make_room(self, stream: int, count: int) -> None:
        """Apply a window update of *count* bytes; stream 0 is the connection."""
        if not stream:
            self.room += count
            for number, entry in list(self._streams.items()):
                self._push(number, entry)
        elif one := self._streams.get(stream):
            one.room += count
            self._push(stream, one)

    def resize(self, first_room: int) -> None:
        """Apply a new initial window to every stream."""
        more, self._first_room = first_room - self._first_room, first_room
        for stream in list(self._streams):
            self.make_room(stream, more)

    def _push(self, stream: int, entry: _Stream) -> None:
        while True:
            size = min(len(entry.waiting), FRAME_BYTES, self.room, entry.room)
            is_last = entry.ends and size == len(entry.waiting)
            if size <= 0 and not is_last:
                return
            part = bytes(entry.waiting[:size])
            del entry.waiting[:size]
            self.room -= size
            entry.room -= size
            self._ready.append(frame(DATA, END_STREAM if is_last else 0, stream, part))
            if is_last:
                del self._streams[stream]
                return
