"""A caller who cancels leaves a whole command or none, and delays no other."""

import asyncio
import random
from pathlib import Path

import pytest

from inventory_grpc.application.failures import Overloaded
from inventory_grpc.application.ledger import mailbox
from inventory_grpc.application.ledger.submission import Submission
from inventory_grpc.domain.levels import Levels
from tests.support.engines import on_each_engine
from tests.support.opened import Opened, checked, events, opened, requests_of
from tests.support.waiting import eventually
from tests.support.world import KETTLES, TOASTERS, add, reserve, stock

pytestmark = on_each_engine

LINES = {KETTLES: 1, TOASTERS: 1, stock("fork", "lisbon"): 1}


async def _fill(shop: Opened) -> None:
    for stock_id in LINES:
        await shop.record(add(10_000, stock_id))


async def _give_up(asked: "asyncio.Task[object]", seconds: float) -> None:
    """Wait for so long, then go away."""
    await asyncio.wait([asked], timeout=seconds)
    asked.cancel()
    await asyncio.wait([asked])


async def test_a_command_whose_caller_left_is_recorded_whole_or_not_at_all(
    database: str | Path,
) -> None:
    chance = random.Random(3)
    async with opened(database) as shop:
        await _fill(shop)
        asked = {}
        for number in range(400):
            name = f"{number}"
            asked[name] = asyncio.ensure_future(
                _give_up(shop.ask(reserve(LINES, name), name), chance.uniform(0, 0.004))
            )
            if number % 20 == 0:
                await asyncio.sleep(chance.uniform(0, 0.003))
        await asyncio.gather(*asked.values())
        await shop.record(add(1))
        found = requests_of(events(database))
        assert set(found.values()) == {len(LINES)}
        assert 0 < len(found) < 400, "some were in time, some were not: else nothing was tried"
        assert (await shop.levels(KETTLES)) == Levels(10_001, len(found))
        for name in asked:
            again = await shop.record(reserve(LINES, name), name)
            assert again.replayed == (name in found)
    assert len(checked(database).promises) == 400


@pytest.mark.parametrize("hops", range(8))
async def test_a_caller_may_leave_at_any_step(database: str | Path, hops: int) -> None:
    async with opened(database) as shop:
        await _fill(shop)
        asked = shop.ask(reserve(LINES), "left")
        for _ in range(hops):
            await asyncio.sleep(0)
        asked.cancel()
        await asyncio.wait([asked])
        assert (await shop.record(add(1))).position in {4, 7}
        recorded = "left" in requests_of(events(database))
        assert (await shop.record(reserve(LINES), "left")).replayed == recorded
    checked(database)


async def test_places_of_callers_who_left_are_free_again(
    database: str | Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mailbox, "MAX_WAITING", 8)
    async with opened(database) as shop:
        for _ in range(3):
            asked = [shop.ask(add(1)) for _ in range(9)]
            await asyncio.sleep(0)
            for task in asked:
                task.cancel()
            await asyncio.wait(asked)
            await eventually(lambda: not shop.parts.ledger._mailbox)  # the writer has looked
        answers = await shop.answers(*(shop.ask(add(1)) for _ in range(9)))
        assert [type(answer) for answer in answers[8:]] == [Overloaded]
    checked(database)


async def test_a_command_whose_deadline_has_passed_is_never_begun(database: str | Path) -> None:
    async with opened(database) as shop:
        now = asyncio.get_running_loop().time()
        for late in (0.0, 0.001, 10.0):
            with pytest.raises(TimeoutError):
                await shop.parts.ledger.record(Submission.of(add(1)), now - late)
        assert (await shop.record(add(1))).position == 1
    checked(database)


async def test_an_engine_that_closes_answers_whom_it_has_taken(database: str | Path) -> None:
    async with opened(database) as shop:
        asked = [shop.ask(add(1), f"{number}") for number in range(1_500)]
        await asyncio.sleep(0)
        shop.parts.ledger.close()
    assert len(await shop.answers(*asked)) == 1_500
    assert len(requests_of(events(database))) == 1_500
