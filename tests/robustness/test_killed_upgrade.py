"""A server killed while it upgrades a file has done no harm, and the next one resumes."""

import asyncio
import random
import shutil
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import pytest

from inventory_grpc.application.failpoints import EXIT_CODE
from inventory_grpc.infrastructure.sqlite.companions import COMPANIONS, companion
from inventory_grpc.infrastructure.sqlite.connection import Database
from inventory_grpc.infrastructure.sqlite.schema import FORMAT, check_header, format_of
from tests.support.effort import SEED, campaign, runs
from tests.support.format_1 import no_alerts, to_format_1
from tests.support.opened import Opened, checked, opened, rows
from tests.support.server_process import ServerProcess
from tests.support.waiting import eventually
from tests.support.workers import supervised
from tests.support.world import add, commit, reserve, stock

ASKED_AT_ONCE: Final = 512
CART_EVENTS: Final = 6
STOCKS: Final = 100
PATIENCE_SECONDS: Final = 300.0
BEGUN: Final = "upgrading the log from"
SOON_SECONDS: Final = 0.05
"""After the upgrade has begun, which takes longer."""
TRUTH: Final = "SELECT position, stream, version, ordinal, kind, event, hash FROM events"


async def _live(shop: Opened, events: int) -> None:
    """Record so many events: a third of them deliveries, the others of carts of three lines."""
    shelves = [stock(f"kettle-{number}", "lisbon") for number in range(STOCKS)]
    await shop.answers(*(shop.ask(add(1_000_000, shelf)) for shelf in shelves))
    for first in range(0, events * 2 // 3 // CART_EVENTS, ASKED_AT_ONCE // 2):
        names = range(first, first + ASKED_AT_ONCE // 2)
        carts = [{shelves[(name * step) % STOCKS]: 1 for step in (1, 3, 7)} for name in names]
        await shop.answers(
            *(shop.ask(reserve(cart, f"r{name}")) for name, cart in zip(names, carts, strict=True)),
            *(shop.ask(commit(0, f"r{name}"), f"pay-{name}") for name in names),
        )
    for first in range(0, events // 3, ASKED_AT_ONCE):
        numbers = range(first, first + ASKED_AT_ONCE)
        await shop.answers(
            *(shop.ask(add(1, shelves[number % STOCKS]), f"add-{number}") for number in numbers)
        )


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a file of format 1 with carts and deliveries."""
    path = tmp_path_factory.mktemp("original") / "inventory.db"

    async def make() -> None:
        with no_alerts():
            async with opened(path, durability="relaxed") as shop:
                await _live(shop, runs(least=6_000, ci=6_000, deep=200_000))

    asyncio.run(make())
    to_format_1(path)
    return path


@pytest.fixture
def path(original: Path, tmp_path: Path) -> Path:
    """Copy it; the mark of a relaxed server is not there."""
    return Path(shutil.copy(original, tmp_path))


async def _serve(path: Path, log: Path) -> None:
    """Start a server, wait until it serves, and kill it."""
    server = ServerProcess.begin(path, log)
    try:
        await eventually(lambda: "serving on" in log.read_text("utf-8"), PATIENCE_SECONDS)
    finally:
        server.kill()


def _lay(original: Path, path: Path) -> None:
    for end in COMPANIONS:
        companion(path, end).unlink(missing_ok=True)
    shutil.copy(original, path)


def _log(path: Path) -> Sequence[tuple[Any, ...]]:
    return rows(path, TRUTH)


def _format(path: Path) -> int:
    with closing(Database(path).reader()) as connection:
        return format_of(connection)


@pytest.mark.timeout(600)
async def test_killed_at_any_moment_it_is_upgraded_in_the_end(path: Path, original: Path) -> None:
    chance, kills, log = random.Random(SEED), runs(least=4, ci=6, deep=20), path.with_suffix(".log")
    expected, begun = _log(path), time.monotonic()
    await _serve(path, log)
    took = time.monotonic() - begun
    _lay(original, path)
    with campaign("killed while upgrading", kills=kills, events=len(expected)) as noted:
        noted["on the way"] = 0
        for number in range(kills):
            server = ServerProcess.begin(path, log)
            if number % 2:  # a start takes longer on a busy machine
                await eventually(lambda: BEGUN in log.read_text("utf-8"), PATIENCE_SECONDS)
                await asyncio.sleep(chance.uniform(0, SOON_SECONDS))
            else:
                await asyncio.sleep(took * chance.uniform(0.2, 1))
            server.kill()
            said = log.read_text("utf-8")
            noted["on the way"] += BEGUN in said and f"has format {FORMAT} now" not in said
            assert _log(path) == expected
            if _format(path) == FORMAT:
                _lay(original, path)
        await _serve(path, log)
    assert noted["on the way"], "it was never killed on the way"
    assert (check_header(path), _log(path)) == (FORMAT, expected)
    checked(path, silent=len(_log(path)))


@pytest.mark.parametrize(("point", "left"), [("rebuild_mid", 1), ("upgrade_end", FORMAT)])
async def test_ended_right_before_and_right_after_the_commit(
    path: Path, point: str, left: int
) -> None:
    log, expected = path.with_suffix(".log"), _log(path)
    server = ServerProcess.begin(path, log, fail_points=f"{point}=exit")
    assert await server.ended() == EXIT_CODE
    assert check_header(path) == 1, "the header says so only after a checkpoint"
    assert _format(path) == left
    await _serve(path, log)
    assert (check_header(path), _log(path)) == (FORMAT, expected)
    checked(path, silent=len(_log(path)))


async def test_workers_that_start_together_upgrade_it_once(path: Path) -> None:
    with supervised(path, log := path.with_suffix(".log")) as server:
        await server.address()
        assert log.read_text("utf-8").count("upgrading the log from format 1") == 1
    checked(path, silent=len(_log(path)))
