"""Followers of the same events share one read, and none delays another."""

import asyncio
import gc

import pytest

from inventory_grpc.application.ports import Fault, StorageError
from inventory_grpc.application.queries.events import EventFilter, Page
from inventory_grpc.application.shared_pages import KEPT, SharedPages
from tests.support.memory.store import MemoryStore

EVERYTHING = EventFilter()


class SlowLog(MemoryStore):
    """A log whose pages are held back until they are released."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[tuple[int, int]] = []
        self.open = asyncio.Event()
        self.fails = False
        self.given_up = 0

    async def page(
        self, after: int, upto: int, matching: EventFilter, max_events: int, max_bytes: int
    ) -> Page:
        del matching, max_events, max_bytes
        self.asked.append((after, upto))
        try:
            await self.open.wait()
        except asyncio.CancelledError:
            self.given_up += 1
            raise
        if self.fails:
            raise StorageError(Fault.BROKEN)
        return Page([b"event"] * (upto - after), upto)


@pytest.fixture
def log() -> SlowLog:
    return SlowLog()


@pytest.fixture
def pages(log: SlowLog) -> SharedPages:
    return SharedPages(log)


def _ask(pages: SharedPages, after: int, upto: int, most: int = 10) -> "asyncio.Task[Page]":
    return asyncio.create_task(pages.page(after, upto, EVERYTHING, most, 1_000))


async def test_what_many_ask_for_is_read_once(pages: SharedPages, log: SlowLog) -> None:
    asked = [_ask(pages, 4, 6) for _ in range(100)]
    log.open.set()
    assert await asyncio.gather(*asked) == [Page([b"event"] * 2, 6)] * 100
    assert await _ask(pages, 4, 6) == Page([b"event"] * 2, 6)
    assert log.asked == [(4, 6)]


async def test_whoever_asks_for_something_else_gets_that(pages: SharedPages, log: SlowLog) -> None:
    log.open.set()
    for after, upto, most in ((4, 6, 10), (5, 6, 10), (4, 7, 10), (4, 6, 1)):
        assert (await _ask(pages, after, upto, most)).scanned == upto
    assert log.asked == [(4, 6), (5, 6), (4, 7), (4, 6)]


async def test_one_who_leaves_does_not_take_it_from_the_others(
    pages: SharedPages, log: SlowLog
) -> None:
    first, second = _ask(pages, 0, 1), _ask(pages, 0, 1)
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.wait([first])
    log.open.set()
    assert (await second).scanned == 1
    assert log.asked == [(0, 1)]


async def test_a_read_that_failed_is_told_to_all_who_waited_and_tried_again_by_the_next(
    pages: SharedPages, log: SlowLog
) -> None:
    asked = [_ask(pages, 0, 1) for _ in range(2)]
    log.fails = True
    log.open.set()
    told = await asyncio.gather(*asked, return_exceptions=True)
    assert all(isinstance(failure, StorageError) for failure in told)
    log.fails = False
    assert (await _ask(pages, 0, 1)).scanned == 1


async def test_a_read_that_failed_after_all_have_left_is_nobodys_trouble(
    pages: SharedPages, log: SlowLog
) -> None:
    troubles: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: troubles.append(context))
    asked = _ask(pages, 0, 1)
    await asyncio.sleep(0)
    asked.cancel()
    await asyncio.wait([asked])
    del asked
    log.fails = True
    log.open.set()
    for _ in range(3):
        await asyncio.sleep(0)
    gc.collect()
    assert not troubles


async def test_only_the_newest_are_kept(pages: SharedPages, log: SlowLog) -> None:
    log.open.set()
    for after in range(KEPT + 1):
        await _ask(pages, after, after + 1)
    assert len(log.asked) == KEPT + 1
    await _ask(pages, 1, 2)
    assert len(log.asked) == KEPT + 1
    await _ask(pages, 0, 1)
    assert len(log.asked) == KEPT + 2


async def test_a_read_that_all_have_left_is_given_up_and_begun_again_for_the_next(
    pages: SharedPages, log: SlowLog
) -> None:
    gone = [_ask(pages, 0, 1) for _ in range(3)]
    await asyncio.sleep(0)
    for asked in gone:
        asked.cancel()
    await asyncio.wait(gone)
    assert log.given_up == 1
    log.open.set()
    assert (await _ask(pages, 0, 1)).scanned == 1
    assert log.asked == [(0, 1)] * 2
