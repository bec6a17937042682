"""Workers under a supervisor, and callers that reach each of them."""

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Final

import psutil

from inventory_grpc_protos.v1.admin_pb2 import GetServerInfoRequest
from tests.support.caller import SECONDS, Caller, calling
from tests.support.server_process import STOP_SECONDS, ServerProcess

CONNECTIONS: Final = 64
"""Of so many at least one goes to each of a few workers."""


def workers_of(server: ServerProcess) -> list[psutil.Process]:
    return psutil.Process(server.process.pid).children()


def see_gone(workers: Sequence[psutil.Process]) -> None:
    """Wait until *workers* have ended, and leave none."""
    left = psutil.wait_procs(workers, STOP_SECONDS)[1]
    for worker in left:
        worker.kill()
    assert not left, left


def said(server: ServerProcess, word: str) -> list[str]:
    """Return what the supervisor and its workers have said with *word* in it."""
    return [entry["event"] for entry in server.log() if word in entry["event"]]


@contextmanager
def supervised(
    database: Path,
    log_file: Path,
    *options: str,
    workers: int = 2,
    environment: Mapping[str, str] | None = None,
) -> Iterator[ServerProcess]:
    """Start workers on *database*; on leaving, see that they are gone."""
    server = ServerProcess.begin(
        database, log_file, "--workers", str(workers), *options, environment=environment
    )
    try:
        yield server
    finally:
        left = workers_of(server) if server.process.poll() is None else []
        server.kill()
        for worker in left:
            worker.kill()


async def name_of(caller: Caller) -> int:
    """Return what tells the worker that answers from others."""
    info = await caller.admin.GetServerInfo(GetServerInfoRequest(), timeout=SECONDS)
    return info.start_time.ToNanoseconds()


@asynccontextmanager
async def reaching_each(address: str, workers: int = 2) -> AsyncIterator[list[Caller]]:
    """Connect until each of so many workers has a caller."""
    found: dict[int, Caller] = {}
    async with AsyncExitStack() as stack:
        for _ in range(CONNECTIONS):
            caller = await stack.enter_async_context(calling(address))
            found.setdefault(await name_of(caller), caller)
            if len(found) == workers:
                break
        assert len(found) == workers
        yield list(found.values())
