"""A server on PostgreSQL that falls silent with the lock holds the others up for two seconds.

Its session ends then, and its late write with it. No lease is needed, and no fencing token.
"""

import asyncio
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import grpc.aio
import pytest

from tests.support import postgres
from tests.support.caller import SECONDS, Caller, adding, calling, refusal
from tests.support.opened import checked, events, requests_of, rows
from tests.support.postgres_proxy import Proxy, proxied
from tests.support.server_process import ServerProcess, server_process
from tests.support.waiting import eventually

SLOW: Final = "before_commit=sleep:1.5"
"""Time to stop a server that has the lock; less than its transaction may be silent."""

HOLDER: Final = (
    "SELECT pid FROM pg_locks JOIN pg_stat_activity USING (pid) "
    "WHERE locktype = 'advisory' AND granted AND state = 'idle in transaction'"
)
REFUSALS: Final = {"WRITES_REFUSED", "OUTCOME_UNKNOWN"}
RETRY_SECONDS: Final = 0.1
TRIES: Final = 10


@pytest.fixture
def url() -> Iterator[str]:
    with postgres.empty_schema() as url:
        yield url


@pytest.fixture
def proxy(url: str) -> Iterator[Proxy]:
    with proxied(url) as proxy:
        yield proxy


@asynccontextmanager
async def stopped(holder: ServerProcess, _: Proxy) -> AsyncIterator[None]:
    """Stop a server, as a suspended machine does."""
    holder.process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        holder.process.send_signal(signal.SIGCONT)


@asynccontextmanager
async def silent(_: ServerProcess, proxy: Proxy) -> AsyncIterator[None]:
    """Have the network swallow all that a server and PostgreSQL send, and then end."""
    proxy.is_silent = True
    yield
    proxy.is_silent = False
    proxy.cut()


async def _add(caller: Caller, name: str) -> int | str:
    """Add a kettle; return the position, or the reason of the refusal."""
    try:
        return (
            await caller.commands.AddStock(adding(1, request_id=name), timeout=SECONDS)
        ).position
    except grpc.aio.AioRpcError as error:
        return refusal(error).reason


async def _add_at_last(caller: Caller, name: str) -> int:
    """Add a kettle, as often as it takes; return the position."""
    async with asyncio.timeout(SECONDS):
        while not isinstance(answer := await _add(caller, name), int):
            assert answer in REFUSALS
            await asyncio.sleep(RETRY_SECONDS)
    return answer


async def _holder(url: str) -> list[tuple[int]]:
    """Wait until a session has the lock; return its process."""
    await eventually(lambda: bool(rows(url, HOLDER)))
    return rows(url, HOLDER)


@pytest.mark.parametrize("trouble", [stopped, silent])
async def test_others_go_on_when_a_server_is_silent_with_the_lock_and_its_write_is_not_late(
    url: str, proxy: Proxy, tmp_path: Path, trouble: object
) -> None:
    async with (
        server_process(proxy.url, tmp_path / "holder.log", fail_points=SLOW) as server,
        server_process(url, tmp_path / "other.log") as another,
        calling(await server.address()) as holder,
        calling(await another.address()) as other,
    ):
        for number in range(TRIES):
            late = asyncio.create_task(_add(holder, f"late-{number}"))
            session = await _holder(url)
            async with trouble(server, proxy):  # type: ignore[operator]  # one of those above
                is_in_time = rows(url, HOLDER) == session
                meanwhile = await _add(other, f"meanwhile-{number}")
            told, position = await late, await _add_at_last(holder, f"late-{number}")
            if is_in_time:
                break
        assert is_in_time, "the machine was too slow"
        assert told in REFUSALS
        assert isinstance(meanwhile, int)
        assert position > meanwhile
    assert set(requests_of(log := events(url)).values()) == {1}
    assert checked(url).position == len(log) == 2 * (number + 1)
