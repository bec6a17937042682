"""A real server tells a service manager when it serves, drains and lives, as systemd expects."""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from tests.support.caller import adding, calling
from tests.support.opened import nobody_else_writes
from tests.support.server_process import ServerProcess
from tests.support.waiting import SECONDS
from tests.support.workers import see_gone, workers_of

WATCHDOG_SECONDS: Final = 1.5
MAX_MESSAGE: Final = 4_096
CREDENTIALS_BYTES: Final = 12
ALIVE: Final = "WATCHDOG=1"


class Manager(NamedTuple):
    """The socket of a service manager, which also learns who sent each message."""

    socket: socket.socket

    @property
    def environment(self) -> dict[str, str]:
        name: bytes = self.socket.getsockname()
        micros = round(WATCHDOG_SECONDS * 1e6)
        return {"NOTIFY_SOCKET": f"@{name[1:].decode()}", "WATCHDOG_USEC": str(micros)}

    async def told(self) -> tuple[str, int]:
        """Return the next message and the process that sent it."""
        async with asyncio.timeout(SECONDS):
            return await asyncio.to_thread(self._receive)

    def _receive(self) -> tuple[str, int]:
        self.socket.settimeout(SECONDS)
        space = socket.CMSG_SPACE(CREDENTIALS_BYTES)
        message, [(_, _, credentials)], *_ = self.socket.recvmsg(MAX_MESSAGE, space)
        return message.decode(), int.from_bytes(credentials[:4], "little")

    async def told_next(self, wanted: str) -> int:
        """Pass over what says that the server is alive; return who sent the *wanted* message."""
        while (told := await self.told())[0] == ALIVE:
            pass
        assert told[0] == wanted
        return told[1]


@pytest.fixture
def manager() -> Iterator[Manager]:
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as receiver:
        receiver.bind("")  # the system chooses the name
        receiver.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        yield Manager(receiver)


@pytest.fixture(params=[1, 2], ids=["one process", "two workers"])
def server(
    request: pytest.FixtureRequest, path: Path, tmp_path: Path, manager: Manager
) -> Iterator[ServerProcess]:
    """Begin to serve under the service manager."""
    workers = ("--workers", str(request.param))
    server = ServerProcess.begin(path, tmp_path / "log", *workers, environment=manager.environment)
    try:
        yield server
    finally:
        left = workers_of(server) if server.process.poll() is None else []
        server.kill()
        see_gone(left)


async def test_the_service_manager_is_told_by_one_process_that_the_server_serves_lives_and_drains(
    server: ServerProcess, manager: Manager, path: Path
) -> None:
    senders = {await manager.told_next("READY=1")}
    for _ in range(4):
        message, sender = await manager.told()
        assert message == ALIVE
        senders.add(sender)
    async with calling(await server.address()) as caller:
        with nobody_else_writes(path):
            taken = caller.commands.AddStock(adding(1), timeout=SECONDS)
            await caller.was_heard()
            server.terminate()
            senders.add(await manager.told_next("STOPPING=1"))
            assert (await manager.told())[0] == ALIVE, "a drain is no hang"
        assert (await taken).position == 1
    assert await server.ended() == 0
    assert senders == {server.process.pid}


async def test_a_server_that_does_not_come_to_serve_says_nothing_of_it(
    manager: Manager, path: Path, tmp_path: Path
) -> None:
    await asyncio.to_thread(path.write_bytes, b"no database")
    server = ServerProcess.begin(path, tmp_path / "log", environment=manager.environment)
    assert await server.ended() == 1
    manager.socket.setblocking(False)  # noqa: FBT003  a method of theirs
    with suppress(BlockingIOError):
        while True:
            assert manager.socket.recv(MAX_MESSAGE).decode() == ALIVE
