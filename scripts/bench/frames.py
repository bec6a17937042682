"""The bytes of HTTP/2, as far as a caller of gRPC needs them."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
END_STREAM, ACK, END_HEADERS = 1, 1, 4

PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
FRAME: Final = struct.Struct(">HBBBI")  # length (in two parts), kind, flags, stream
FRAME_BYTES: Final = 16_384  # at most in one frame, unless the other side says otherwise
WINDOW: Final = 65_535  # bytes that either side may send before it is told of more
MOST: Final = 2**31 - 1
CANCEL: Final = 8
INITIAL_WINDOW: Final = 4

OUR_SETTINGS: Final = struct.pack(
    ">HIHIHI",
    *(1, 0),  # headers are not to be compressed by what was sent before: `OK` can be looked for
    *(2, 0),  # no push
    *(INITIAL_WINDOW, MOST),  # a response is never held back
)
OK: Final = b"\x0bgrpc-status\x010"
"""What trailers hold if the call succeeded: name and value, each after its length."""

EXHAUSTED: Final = b"\x0bgrpc-status\x018"
"""What they hold if there was no room for it."""

_SETTING: Final = struct.Struct(">HI")
_PREFIX: Final = struct.Struct(">BI")  # before each message: whether it is compressed, its length


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    length = len(payload)
    return FRAME.pack(length >> 8, length & 255, kind, flags, stream) + payload


def more_room(stream: int, count: int) -> bytes:
    """Return the frame that lets the other side send so many bytes more."""
    return frame(WINDOW_UPDATE, 0, stream, struct.pack(">I", count))


def settings(payload: bytes) -> Iterator[tuple[int, int]]:
    """Yield the number and the value of each setting."""
    yield from _SETTING.iter_unpack(payload)


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


def prefixed(message: bytes) -> bytes:
    """Return a message as it stands among others of its stream."""
    return _PREFIX.pack(0, len(message)) + message


class Messages:
    """Puts the messages of one stream together from the frames they come in."""

    def __init__(self) -> None:
        self._data = bytearray()

    def fed(self, data: bytes) -> Iterator[bytes]:
        """Yield each message that is whole with *data*."""
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
    """What waits to be sent on a stream, and how much of it the other side takes."""

    room: int
    waiting: bytearray = field(default_factory=bytearray)
    ends: bool = False


class Outgoing:
    """The frames of messages that are sent, as far as both windows of HTTP/2 allow.

    Frames that may leave are put into *ready*; the others wait until there is room.
    """

    def __init__(self, ready: list[bytes]) -> None:
        self._ready = ready
        self._first_room = WINDOW
        self._streams: dict[int, _Stream] = {}
        self.room = WINDOW
        """How many bytes the other side would take now, over all streams."""

    def send(self, stream: int, data: bytes, *, last: bool) -> None:
        """Send *data* after what waits on *stream*."""
        if last and stream not in self._streams and len(data) <= min(self.room, FRAME_BYTES):
            # a call of one small message: nothing to remember
            self.room -= len(data)
            self._ready.append(frame(DATA, END_STREAM, stream, data))
            return
        entry = self._streams.setdefault(stream, _Stream(self._first_room))
        entry.waiting += data
        entry.ends = last
        self._push(stream, entry)

    def forget(self, stream: int) -> None:
        """Send nothing more on a stream that is over."""
        self._streams.pop(stream, None)

    def make_room(self, stream: int, count: int) -> None:
        """Go on: the other side takes *count* bytes more, on all streams if *stream* is 0."""
        if not stream:
            self.room += count
            for number, entry in list(self._streams.items()):
                self._push(number, entry)
        elif one := self._streams.get(stream):
            one.room += count
            self._push(stream, one)

    def resize(self, first_room: int) -> None:
        """Let every stream have as much room from the start."""
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
