"""Rates of all workers, added up, do not jump when a worker is killed and replaced."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import grpc.aio
import pytest

from tests.support.caller import Caller, adding, batch
from tests.support.prometheus import Prometheus, prometheus
from tests.support.scraping import page_address
from tests.support.waiting import SECONDS
from tests.support.workers import reaching_each, supervised, workers_of

pytestmark = pytest.mark.timeout(120)

PAUSE: Final = 0.05
"""The pause of a caller between two commands, of which two callers send at most 40 in a second."""

EARLIER: Final = 1_000
"""Commands of each worker before the traffic, which make a false reset visible."""

WINDOW: Final = "2s"

FALSE: Final = EARLIER / 2
"""The least rate in a window in which the earlier commands are counted once more."""

MOST: Final = FALSE / 2
"""A rate between the highest honest one and the least false one, which are far apart.

A scrape may take a quarter of a second, and Prometheus dates its sample at the begin: on a slow
machine an honest rate may seem several times the traffic.
"""
COUNTED: Final = 'inventory_commands_total{command="AddStock",outcome="recorded"}'
RIGHT: Final = f"sum(rate({COUNTED}[{WINDOW}]))"
WRONG: Final = f"rate(sum({COUNTED})[{WINDOW}:250ms])"
"""The rate of a sum, which falls when a worker begins at 0. It shows that the kill was seen."""


async def test_the_sum_of_rates_has_no_jump_when_a_worker_is_killed(tmp_path: Path) -> None:
    options = ("--metrics-listen", "127.0.0.1:0")
    with supervised(tmp_path / "i.db", tmp_path / "log", *options) as server:
        async with (
            reaching_each(await server.address()) as callers,
            prometheus(tmp_path, await page_address(server), "groups: []") as one,
        ):
            for caller in callers:
                await caller.commands.ExecuteBatch(batch(*[adding(1)] * EARLIER))
            await one.until(f"sum({COUNTED})", lambda found: _values(found) == [2 * EARLIER])
            async with _traffic(callers):
                await asyncio.sleep(2.5)  # the window has none of the earlier commands
                begin = time.time()
                workers_of(server)[0].kill()
                await one.until(
                    "sum(inventory_worker_restarts_total)", lambda it: _values(it) == [1]
                )
                await one.until("sum(inventory_worker_up)", lambda it: _values(it) == [2])
                await one.until(f"count(rate({COUNTED}[{WINDOW}]))", lambda it: _values(it) == [2])
                await asyncio.sleep(2.5)
                end = time.time()
            right, wrong = [await _over(one, each, begin, end) for each in (RIGHT, WRONG)]
            # a scrape that took too long has no sample, so this is not a matter of the last one
            [replaced] = await one.values(
                "last_over_time(inventory_worker_restarts_total[1m]) == 1"
            )
            counters = await one.get("query", query='{__name__=~".+_(total|count|bucket)"}[1m]')
    assert max(wrong) > MOST, "the kill cannot be seen"
    assert 0 < max(right) < MOST
    assert min(right) >= 0
    found = dict.fromkeys(("1", "2"), 0)
    for series in counters["result"]:
        falls = _falls(float(value) for _, value in series["values"])
        worker = series["metric"]["worker"]
        found[worker] = max(found[worker], falls)
    assert found.pop(replaced["metric"]["worker"]) == 1
    assert [*found.values()] == [0]


@asynccontextmanager
async def _traffic(callers: list[Caller]) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(_add(caller)) for caller in callers]
    try:
        yield
        assert not any(task.done() for task in tasks)
    finally:
        for task in tasks:
            task.cancel()


async def _add(caller: Caller) -> None:
    """Add stock without an end, and never faster than one command for each pause."""
    while True:
        with suppress(grpc.aio.AioRpcError):
            await caller.commands.AddStock(adding(1), timeout=SECONDS)
        await asyncio.sleep(PAUSE)


async def _over(one: Prometheus, expression: str, begin: float, end: float) -> list[float]:
    """Return the values of *expression* in a period."""
    asked = {"start": str(begin), "end": str(end), "step": "0.25"}
    [series] = (await one.get("query_range", query=expression, **asked))["result"]
    return [float(value) for _, value in series["values"]]


def _values(found: list[dict[str, Any]]) -> list[float]:
    return [float(each["value"][1]) for each in found]


def _falls(values: Iterable[float]) -> int:
    return sum(later < earlier for earlier, later in pairwise(values))
