"""An HTTP/2 client that is not a gRPC library and may break any protocol."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import h2.config
import h2.connection
import h2.events
import h2.exceptions

SECONDS: Final = 10.0
"""The time after which an answer counts as missing."""

PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

Headers = list[tuple[bytes, bytes]]


class Ended(NamedTuple):
    """The end of a call as seen on the wire; -1 where there was no status."""

    http: int = -1
    grpc: int = -1
    reset: int = -1
    goaway: int = -1
    is_closed: bool = False
    message: bytes = b""
    data: bytes = b""

    @property
    def is_refused(self) -> bool:
        """Tell whether there was an answer, and no success in it."""
        return self.grpc > 0 or self.http >= 400 or self.reset >= 0 or self.is_closed


def frame(message: bytes, *, compressed: int = 0, length: int | None = None) -> bytes:
    """Return *message* as gRPC sends one; the flag and the length may lie."""
    said = len(message) if length is None else length
    return bytes([compressed]) + said.to_bytes(4, "big") + message


def headers(path: str, changed: Mapping[str, str | None] | None = None) -> Headers:
    """Return the headers of a call; None leaves one out."""
    usual: dict[str, str | None] = {
        ":method": "POST",
        ":scheme": "http",
        ":path": path,
        ":authority": "localhost",
        "te": "trailers",
        "content-type": "application/grpc",
        "grpc-timeout": "5S",
    }
    usual.update(changed or {})
    return [(name.encode(), value.encode()) for name, value in usual.items() if value is not None]


@dataclass
class Wire:
    """One connection; frames can be made with `h2`, or be bytes of any kind."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    http2: h2.connection.H2Connection = field(
        default_factory=lambda: h2.connection.H2Connection(
            h2.config.H2Configuration(
                header_encoding=None,
                validate_outbound_headers=False,
                normalize_outbound_headers=False,
            )
        )
    )
    is_closed: bool = False
    goaway: int = -1
    pongs: int = 0
    ended: dict[int, Ended] = field(default_factory=dict)
    _open: set[int] = field(default_factory=set)

    async def flush(self) -> None:
        """Send what `h2` has made."""
        await self.send(self.http2.data_to_send())

    async def send(self, data: bytes) -> None:
        """Send bytes, unless the other side is gone already."""
        if self.writer.is_closing():  # uvloop refuses to write then
            self.is_closed = True
            return
        try:
            self.writer.write(data)
            async with asyncio.timeout(SECONDS):
                await self.writer.drain()
        except (OSError, TimeoutError):
            self.is_closed = True

    async def begin(self, sent: Headers, data: bytes | None = None, *, end: bool = True) -> int:
        """Begin a call; return its stream."""
        stream = self.http2.get_next_available_stream_id()
        self.ended[stream] = Ended()
        self._open.add(stream)
        self.http2.send_headers(stream, sent, end_stream=data is None and end)
        await self.flush()
        if data is not None:
            await self.body(stream, data, end=end)
        return stream

    async def body(self, stream: int, data: bytes, *, end: bool = True) -> None:
        """Send *data*, as fast as the other side wants it."""
        sent = 0
        while sent < len(data) and stream in self._open and not self.is_closed:
            room = min(
                self.http2.local_flow_control_window(stream), self.http2.max_outbound_frame_size
            )
            if not room:
                if not await self.receive():
                    return
                continue
            self.http2.send_data(stream, data[sent : sent + room])
            sent += room
            await self.flush()
        if end and stream in self._open and not self.is_closed:
            self.http2.end_stream(stream)
            await self.flush()

    async def receive(self, seconds: float = SECONDS) -> bool:
        """Take in what comes next; tell whether anything came."""
        try:
            async with asyncio.timeout(seconds):
                data = await self.reader.read(65_536)
        except TimeoutError:
            return False
        except OSError:
            data = b""
        if not data:
            self.is_closed = True
            return False
        try:
            events = self.http2.receive_data(data)
        except h2.exceptions.ProtocolError:
            self.is_closed = True
            return False
        for event in events:
            self._note(event)
        with suppress(OSError):
            if not self.writer.is_closing():
                self.writer.write(self.http2.data_to_send())
        return True

    async def answer(self, stream: int, seconds: float = SECONDS) -> Ended:
        """Wait until the call has ended, in whatever way; return how."""
        while stream in self._open and not self.is_closed and await self.receive(seconds):
            pass
        if stream in self._open and not self.is_closed:
            raise TimeoutError(f"no answer within {seconds} s: {self.ended[stream]}")
        return self.ended[stream]._replace(
            goaway=self.goaway, is_closed=self.is_closed and stream in self._open
        )

    async def until_closed(self, seconds: float = SECONDS) -> bool:
        """Wait until the other side has closed the connection; tell whether it has."""
        while not self.is_closed and await self.receive(seconds):
            pass
        return self.is_closed

    def _note(self, event: h2.events.Event) -> None:
        match event:
            case h2.events.ResponseReceived() | h2.events.TrailersReceived():
                stream = event.stream_id
                said = dict(event.headers)
                before = self.ended.get(stream, Ended())
                self.ended[stream] = before._replace(
                    http=int(said.get(b":status", before.http)),
                    grpc=int(said.get(b"grpc-status", before.grpc)),
                    message=said.get(b"grpc-message", before.message),
                )
            case h2.events.DataReceived():
                self.http2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                before = self.ended.get(event.stream_id, Ended())
                self.ended[event.stream_id] = before._replace(data=before.data + event.data)
            case h2.events.StreamEnded():
                self._open.discard(event.stream_id)
            case h2.events.StreamReset():
                before = self.ended.get(event.stream_id, Ended())
                self.ended[event.stream_id] = before._replace(reset=int(event.error_code or 0))
                self._open.discard(event.stream_id)
            case h2.events.ConnectionTerminated():
                self.goaway = int(event.error_code or 0)
            case h2.events.PingAckReceived():
                self.pongs += 1


@asynccontextmanager
async def wire(address: str, *, greet: bool = True) -> AsyncIterator[Wire]:
    """Connect to *address*; *greet* as HTTP/2 wants it."""
    host, port = address.rsplit(":", 1)
    reader, writer = await asyncio.open_connection(host, int(port))
    connected = Wire(reader, writer)
    try:
        if greet:
            connected.http2.initiate_connection()
            await connected.flush()
        yield connected
    finally:
        writer.transport.abort()
        with suppress(OSError):
            await writer.wait_closed()
