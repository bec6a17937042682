"""What may be sent now? No more than the other side has room for."""

from dataclasses import dataclass, field

from scripts.bench.frames import DATA, END_STREAM, FRAME_BYTES, WINDOW, frame


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
