"""Reader threads: a cancelled read is not begun, and no reader loses its connection."""

import asyncio
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import apsw
import pytest

from inventory_grpc.infrastructure.sqlite.connection import Database
from inventory_grpc.infrastructure.sqlite.events import read_head
from inventory_grpc.infrastructure.sqlite.readers import THREADS, Readers
from tests.support.opened import opened
from tests.support.waiting import eventually
from tests.support.world import KETTLES, R1, add, reserve


class Held:
    """Reads that hold their threads until they are released."""

    def __init__(self) -> None:
        self.begun = 0
        self.heads: list[int] = []
        self._go_on = threading.Event()

    def __call__(self, connection: apsw.Connection) -> int:
        self.begun += 1
        assert self._go_on.wait(20)
        self.heads.append(read_head(connection))
        return self.heads[-1]

    def let_go(self) -> None:
        self._go_on.set()


@pytest.fixture
async def readers(path: Path) -> AsyncIterator[Readers]:
    async with opened(path):
        readers = Readers(Database(path))
        yield readers
        await readers.close()
        readers.shut_down()


async def test_states_and_the_head_are_read_without_suspension(path: Path) -> None:
    """Nothing else runs meanwhile, so what is read is as new as the log."""
    async with opened(path) as shop:
        await shop.record(add(5))
        await shop.record(reserve(1))
        latest, log = shop.parts.queries.latest(), shop.parts.event_log
        for reading in (latest.get(KETTLES), latest.get(R1), log.head()):
            with pytest.raises(StopIteration):
                reading.send(None)


async def _left(*asked: "asyncio.Task[int]") -> None:
    for one in asked:
        one.cancel()
    await asyncio.wait(asked)


async def test_a_read_cancelled_before_it_had_a_thread_is_never_begun(
    readers: Readers,
) -> None:
    held, abandoned = Held(), Held()
    busy = [asyncio.create_task(readers.scan(held)) for _ in range(THREADS)]
    await eventually(lambda: held.begun == THREADS)
    waiting = [asyncio.create_task(readers.scan(abandoned)) for _ in range(50)]
    await asyncio.sleep(0)
    await _left(*waiting)
    held.let_go()
    assert await asyncio.gather(*busy) == [0] * THREADS
    assert await readers.scan(read_head) == 0
    assert not abandoned.begun


async def test_connections_close_only_when_every_thread_is_done_even_for_cancelled_reads(
    readers: Readers,
) -> None:
    held = Held()
    busy = [asyncio.create_task(readers.scan(held)) for _ in range(THREADS)]
    await eventually(lambda: held.begun == THREADS)
    await _left(*busy)
    closing = asyncio.create_task(readers.close())
    done, _ = await asyncio.wait([closing], timeout=0.05)
    assert not done
    held.let_go()
    await closing
    assert held.heads == [0] * THREADS
    readers.open()
    assert await readers.scan(read_head) == 0


async def test_a_read_that_fails_in_any_way_is_not_counted_for_ever(readers: Readers) -> None:
    def fails(_: apsw.Connection) -> int:
        raise ZeroDivisionError

    for _ in range(5):
        with pytest.raises(ZeroDivisionError):
            await readers.scan(fails)
    async with asyncio.timeout(5):
        await readers.close()


async def test_a_read_for_which_there_is_no_thread_fails_alone_and_is_never_done(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def start(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    failed = Held()
    failed.let_go()
    async with opened(path):
        readers = Readers(Database(path))
        with monkeypatch.context() as crowded:
            crowded.setattr(threading.Thread, "start", start)
            with pytest.raises(RuntimeError, match="new thread"):
                await readers.scan(failed)
        assert await readers.scan(read_head) == 0
        async with asyncio.timeout(5):
            await readers.close()
        readers.shut_down()
    assert not failed.begun
