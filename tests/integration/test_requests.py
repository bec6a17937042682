"""A request is done once, also across a restart, for as long as it is remembered."""

import asyncio
from pathlib import Path

import pytest

from inventory_grpc.application.failures import RequestIdReused
from inventory_grpc.application.outcomes import Outcome
from inventory_grpc.domain.book import Command
from inventory_grpc.domain.refusals import InsufficientStock
from tests.support.engines import on_each_engine
from tests.support.opened import Opened, checked, events, opened, requests_of
from tests.support.world import (
    DAY,
    KETTLES,
    R2,
    TOASTERS,
    add,
    commit,
    count,
    release,
    remove,
    reserve,
)

WEEK = 7 * DAY
"""The time for which requests are remembered."""

COMMANDS: dict[str, Command] = {
    "add": add(9),
    "add-toasters": add(9, TOASTERS),
    "remove": remove(1),
    "count": count(8, expected=2),
    "reserve": reserve({KETTLES: 3, TOASTERS: 2}),
    "reserve-again": reserve({KETTLES: 3, TOASTERS: 2}),
    "commit-some": commit({KETTLES: 1}),
    "commit-all": commit(),
    "commit-all-again": commit(),
    "reserve-other": reserve(1, R2),
    "release": release(0, R2),
}


async def _all(shop: Opened) -> dict[str, Outcome]:
    return {name: await shop.record(command, name) for name, command in COMMANDS.items()}


@on_each_engine
async def test_every_answer_is_the_same_after_a_restart(database: str | Path) -> None:
    async with opened(database) as shop:
        first = await _all(shop)
        head = shop.parts.head.position
    for _ in range(2):
        async with opened(database) as shop:
            again = await _all(shop)
            assert {
                name: answer._replace(replayed=False) for name, answer in again.items()
            } == first
            assert all(answer.replayed for answer in again.values())
            assert shop.parts.head.position == head
    checked(database)


@on_each_engine
async def test_another_request_under_a_known_id_is_refused_also_after_a_restart(
    database: str | Path,
) -> None:
    async with opened(database) as shop:
        await shop.record(add(9), "once")
    async with opened(database) as shop:
        with pytest.raises(RequestIdReused):
            await shop.record(add(8), "once")
        assert shop.parts.head.position == 1


@on_each_engine
async def test_a_refusal_is_not_remembered(database: str | Path) -> None:
    async with opened(database) as shop:
        with pytest.raises(InsufficientStock):
            await shop.record(remove(1), "again")
        await shop.record(add(1))
    async with opened(database) as shop:
        assert not (await shop.record(remove(1), "again")).replayed
        assert (await shop.record(remove(1), "again")).replayed


@on_each_engine
async def test_two_at_once_get_one_answer(database: str | Path) -> None:
    async with opened(database) as shop:
        answers = await asyncio.gather(*(shop.record(add(1), "once") for _ in range(50)))
        assert [answer.replayed for answer in answers] == [False] + [True] * 49
        assert {answer.position for answer in answers} == {1}
    assert requests_of(events(database)) == {"once": 1}
