"""A background loop survives unexpected errors, logs each once, and stops on request."""

import asyncio
from collections.abc import Callable

import pytest

from inventory_grpc.application.background import repeat
from tests.support.engine import until

NOTHING = None


class Turns:
    """Turns of a loop, of which some go wrong."""

    def __init__(self, *troubles: BaseException | None) -> None:
        self._troubles = [*troubles]
        self.done = 0

    async def __call__(self) -> None:
        self.done += 1
        if self._troubles and (trouble := self._troubles.pop(0)) is not None:
            raise trouble

    def are_over(self) -> bool:
        """Tell whether another turn has come after the last trouble."""
        return not self._troubles


async def _run(turns: Turns, ended: Callable[[], bool]) -> None:
    loop = asyncio.create_task(repeat("the test", turns, 0.0))
    await until(ended)
    assert not loop.done()
    loop.cancel()
    with pytest.raises(asyncio.CancelledError):
        await loop


async def test_what_goes_wrong_is_told_once_an_outage_with_its_story_and_ends_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    outage = [ValueError("one"), ValueError("two"), OSError("three")]
    turns = Turns(*outage, NOTHING, ValueError("four"), NOTHING)
    await _run(turns, lambda: turns.are_over() and turns.done > 6)
    told = [
        (record.levelname, record.exc_info and str(record.exc_info[1])) for record in caplog.records
    ]
    assert told == [
        ("ERROR", "one"),
        ("ERROR", "three"),
        ("WARNING", None),
        ("ERROR", "four"),
        ("WARNING", None),
    ]
    assert all("the test" in record.message for record in caplog.records)


async def test_something_that_was_cancelled_inside_does_not_end_it() -> None:
    turns = Turns(asyncio.CancelledError(), NOTHING)
    await _run(turns, lambda: turns.done > 2)


async def test_it_ends_when_it_is_cancelled_in_the_middle_of_a_turn() -> None:
    begun = asyncio.Event()

    async def turn() -> None:
        begun.set()
        await asyncio.Event().wait()

    loop = asyncio.create_task(repeat("the test", turn, 0.0))
    await begun.wait()
    loop.cancel()
    with pytest.raises(asyncio.CancelledError):
        await loop
