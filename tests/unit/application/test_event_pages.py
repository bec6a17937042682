"""A page is found in a bounded number of steps, and a cancelled search ends between two."""

import asyncio

import pytest

from inventory_grpc.application.queries.events import MAX_STEPS, EventFilter, Found, find_page
from tests.support.memory.store import MemoryStore


class LongLog(MemoryStore):
    """A log in which nothing matches, looked at ten events a step."""

    def __init__(self) -> None:
        super().__init__()
        self.steps: list[tuple[int, int]] = []

    async def search(
        self, matching: EventFilter, after: int, before: int, limit: int, *, newest_first: bool
    ) -> Found:
        del matching, limit
        self.steps.append((after, before))
        await asyncio.sleep(1)
        return Found([], before - 10 if newest_first else after + 10, done=False)


@pytest.fixture
def log() -> LongLog:
    return LongLog()


async def test_a_page_ends_after_some_steps_also_if_nothing_was_found(log: LongLog) -> None:
    found = await find_page(log, EventFilter(), 0, 1_001, 5, newest_first=True)
    assert found == ([], 1_001 - 10 * MAX_STEPS, False)
    assert log.steps == [(0, 1_001 - 10 * step) for step in range(MAX_STEPS)]
    log.steps.clear()
    found = await find_page(log, EventFilter(), 0, 1_001, 5, newest_first=False)
    assert found == ([], 10 * MAX_STEPS, False)
    assert log.steps == [(10 * step, 1_001) for step in range(MAX_STEPS)]


async def test_when_its_caller_leaves_no_other_step_is_begun(log: LongLog) -> None:
    asked = asyncio.create_task(find_page(log, EventFilter(), 0, 1_001, 5, newest_first=True))
    await asyncio.sleep(2.5)
    asked.cancel()
    await asyncio.wait([asked])
    await asyncio.sleep(5)
    assert len(log.steps) == 3
