"""The server that a replay talks to: one that runs already, or one that it starts."""

import asyncio
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import grpc
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub

START_SECONDS: Final = 60.0
STOP_SECONDS: Final = 60.0


class ServerFailed(Exception):
    """The server did not start, or did not end as it should; the message has its last words."""


@asynccontextmanager
async def serving(database: Path, log: Path) -> AsyncIterator[str]:
    """Start the real server on *database*; yield its address once it is well; stop it."""
    address = f"127.0.0.1:{_free_port()}"
    command = [sys.executable, "-m", "inventory_grpc", "serve"]
    with log.open("wb") as output:
        server = await asyncio.create_subprocess_exec(
            *command,
            *("--listen", address, "--database", str(database)),
            stdout=output,
            stderr=output,
        )
    try:
        await _well(address, server, log)
        yield address
    finally:
        if server.returncode is None:
            server.send_signal(signal.SIGTERM)
        try:
            code = await asyncio.wait_for(server.wait(), STOP_SECONDS)
        except TimeoutError:
            server.kill()
            code = await server.wait()
    if code != 0:
        raise ServerFailed(f"the server ended with {code}:\n{_last_words(log)}")


async def verified(database: Path) -> str:
    """Return the first of what `inventory-grpc verify` finds wrong with *database*, if anything."""
    verify = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "inventory_grpc", "verify", "--database", str(database)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await verify.communicate()
    return "; ".join(said.decode().splitlines()[:3]) if verify.returncode else ""


async def _well(address: str, server: asyncio.subprocess.Process, log: Path) -> None:
    end = time.monotonic() + START_SECONDS
    async with grpc.aio.insecure_channel(address, [("grpc.enable_http_proxy", 0)]) as channel:
        health: Any = HealthStub(channel)  # its stubs leave out its methods
        while time.monotonic() < end:
            if server.returncode is not None:
                raise ServerFailed(f"the server did not start:\n{_last_words(log)}")
            try:
                answer = await health.Check(HealthCheckRequest(), timeout=1, wait_for_ready=True)
                if answer.status == HealthCheckResponse.SERVING:
                    return
            except grpc.aio.AioRpcError:
                pass  # not yet
            await asyncio.sleep(0.05)
    raise ServerFailed(f"the server was not well within {START_SECONDS:g} s:\n{_last_words(log)}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _last_words(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-20:])
