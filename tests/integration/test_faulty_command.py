"""A command that raises an unexpected error fails alone."""

import asyncio
import logging
import random
from collections.abc import Sequence
from pathlib import Path

import pytest

from inventory_grpc.application.failures import Internal
from inventory_grpc.application.ledger import batch
from inventory_grpc.application.ledger.circuit_breaker import BreakerState
from inventory_grpc.application.outcomes import Outcome
from inventory_grpc.domain.book import Book
from inventory_grpc.domain.event import Change
from inventory_grpc.domain.levels import Levels
from inventory_grpc.domain.refusals import CommandTooLarge, InsufficientStock
from inventory_grpc.domain.stock import StockAdded
from inventory_grpc.domain.stock_commands import AddStock
from inventory_grpc.infrastructure.log import chain as log
from tests.support.engines import on_each_engine
from tests.support.opened import checked, events, opened, requests_of
from tests.support.world import KETTLES, add, remove, reserve, stock

pytestmark = on_each_engine

CURSED = stock("mirror", "lisbon")
"""A stock to which an addition raises an unexpected error."""

TWISTED = stock("clock", "lisbon")
"""A stock to which an addition violates a constraint in its second event."""


@pytest.fixture(autouse=True)
def _curse(monkeypatch: pytest.MonkeyPatch) -> None:
    decide = AddStock.decide

    def decide_or_break(command: AddStock, book: Book) -> Sequence[Change]:
        if command.stock_id == CURSED:
            raise ZeroDivisionError("a bug, with a secret in its text")
        if command.stock_id == TWISTED:
            return [(TWISTED, StockAdded(1)), (TWISTED, StockAdded(-5))]
        return decide(command, book)

    monkeypatch.setattr(batch, "PLAIN", frozenset())
    monkeypatch.setattr(AddStock, "decide", decide_or_break)


async def test_a_faulty_command_among_good_ones_fails_alone(
    database: str | Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with opened(database) as shop:
        answers = await shop.answers(
            shop.ask(add(5), "before"),
            shop.ask(add(1, CURSED), "cursed"),
            shop.ask(reserve(3), "between"),
            shop.ask(add(1, TWISTED), "twisted"),
            shop.ask(remove(3), "refused"),
            shop.ask(remove(2), "after"),
        )
        before, cursed, between, twisted, refused, after = answers
        assert isinstance(cursed, Internal)
        assert isinstance(twisted, Internal)
        assert isinstance(refused, InsufficientStock)
        assert all(isinstance(answer, Outcome) for answer in (before, between, after))
        assert (await shop.levels()) == Levels(3, 3)
        assert shop.parts.breaker.state is BreakerState.CLOSED
        assert cursed.error_id in caplog.text
        assert "secret" not in str(cursed)
        assert (await shop.record(add(5), "before")).replayed
    assert set(requests_of(events(database))) == {"before", "between", "after"}
    checked(database)


# two of these events take less than 230 bytes, three take more
@pytest.mark.parametrize("limit", [("MAX_COMMAND_EVENTS", 2), ("MAX_COMMAND_BYTES", 230)])
async def test_a_command_that_is_too_large_for_followers_is_refused_alone(
    database: str | Path, monkeypatch: pytest.MonkeyPatch, limit: tuple[str, int]
) -> None:
    monkeypatch.setattr(log, *limit)
    shelves = [stock(f"kettle-{number}", "lisbon") for number in range(3)]
    async with opened(database) as shop:
        for shelf in shelves:
            await shop.record(add(5, shelf))
        small = [shop.ask(reserve(dict.fromkeys(shelves[:2], 1), f"small-{n}")) for n in range(3)]
        assert all(isinstance(answer, Outcome) for answer in await shop.answers(*small))
        before, large, after = await shop.answers(
            shop.ask(add(1)),
            shop.ask(reserve(dict.fromkeys(shelves, 1), "large")),
            shop.ask(add(1)),
        )
        assert isinstance(large, CommandTooLarge)
        assert isinstance(before, Outcome)
        assert isinstance(after, Outcome)
    times = [event.record_time.ToNanoseconds() for event in events(database)]
    assert len(times) == 3 + 3 * 2 + 2
    assert len({*times[3:9]}) == 1, "commands that are small enough were recorded together"
    checked(database)


async def test_any_number_of_faulty_commands_never_opens_the_breaker(database: str | Path) -> None:
    chance = random.Random(7)
    async with opened(database) as shop:
        for _ in range(10):
            good = {f"{chance.random()}": add(1) for _ in range(10)}
            bad = {f"{chance.random()}": add(1, CURSED) for _ in range(10)}
            both = list((good | bad).items())
            chance.shuffle(both)
            answers = await shop.answers(*(shop.ask(command, name) for name, command in both))
            for (name, _), answer in zip(both, answers, strict=True):
                assert isinstance(answer, Internal if name in bad else Outcome)
        assert shop.parts.breaker.state is BreakerState.CLOSED
        assert (await shop.levels()) == Levels(100, 0)
    assert len(requests_of(events(database))) == 100
    checked(database)


async def test_the_caller_of_a_faulty_command_may_be_gone(
    database: str | Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL)
    async with opened(database) as shop:
        for hops in range(6):
            asked = shop.ask(add(1, CURSED))
            for _ in range(hops):
                await asyncio.sleep(0)
            asked.cancel()
            await asyncio.wait([asked])
            await shop.record(add(1, KETTLES))
        assert not shop.parts.running.done()
    checked(database)
