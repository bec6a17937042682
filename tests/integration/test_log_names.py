"""The names of a log in PostgreSQL: who continues under a new one, and how it gets it."""

import asyncio
import os
import pty
import subprocess
from collections.abc import Iterator
from contextlib import AsyncExitStack, closing

import pytest
from typer.testing import CliRunner

from inventory_grpc.application import failpoints
from inventory_grpc.application.failpoints import EXIT_CODE
from inventory_grpc.application.failures import LogDamaged, OtherLog, WritesRefused
from inventory_grpc.application.following import Start
from inventory_grpc.application.ledger import circuit_breaker
from inventory_grpc.application.ports import Fault
from inventory_grpc.choices import Failover
from inventory_grpc.cli import app
from inventory_grpc.infrastructure.postgres import log_names
from inventory_grpc.infrastructure.postgres.readers import THREADS
from inventory_grpc.infrastructure.postgres.server import Server
from tests.support import postgres
from tests.support.log_names import (
    CUT_OFF,
    PROMOTED,
    adopt,
    adopted,
    log_id_of,
    lose_last,
    names_of,
    record,
    told,
    until_fault,
)
from tests.support.opened import change, checked, differences, events, opened, rows
from tests.support.server_process import COMMAND, ENVIRONMENT, command_line
from tests.support.world import add


@pytest.fixture
def url() -> Iterator[str]:
    with postgres.empty_schema() as url:
        asyncio.run(record(url))
        yield url


@pytest.fixture
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have storage probed often."""
    monkeypatch.setattr(circuit_breaker, "FIRST_WAIT_SECONDS", 0.02)
    monkeypatch.setattr(circuit_breaker, "MAX_WAIT_SECONDS", 0.05)


@pytest.mark.usefixtures("_soon")
async def test_a_running_server_notices_when_it_connects_again_and_goes_on_when_adopted(
    url: str,
) -> None:
    log_id = log_id_of(url)
    async with opened(url) as shop, opened(url) as other:
        for one in (shop, other):
            await one.record(add(1))
        await shop.until(3)
        change(url, PROMOTED)
        rows(url, CUT_OFF)
        for one in (shop, other):
            await until_fault(one, Fault.FAILED_OVER)
            assert "a standby was promoted" in await told(one)
            assert (await one.levels()).on_hand == 3
        await asyncio.to_thread(adopted, url)
        for one in (shop, other):
            await until_fault(one, None)
            await one.record(add(1))
            assert one.parts.event_log.log_id == log_id_of(url) != log_id
    assert checked(url).position == 5
    named = [event.event_id for event in events(url)]
    assert named == [f"{log_id}-{n}" for n in (1, 2, 3)] + [f"{log_id_of(url)}-{n}" for n in (4, 5)]


@pytest.mark.usefixtures("_soon")
async def test_a_server_that_has_seen_what_is_lost_refuses_also_after_the_log_is_adopted(
    url: str,
) -> None:
    async with opened(url) as shop:
        await shop.record(add(1), "lost")
        lose_last(url)
        change(url, PROMOTED)
        await asyncio.to_thread(adopted, url)
        for number in range(2):
            await record(url)
            with pytest.raises((LogDamaged, WritesRefused)):
                await shop.record(add(1))
            await until_fault(shop, Fault.REWOUND)
            assert len(events(url)) == 2 + number


async def test_followers_continue_up_to_the_end_of_the_name_they_know(url: str) -> None:
    await record(url)
    first = log_id_of(url)
    change(url, PROMOTED)
    adopted(url)
    second = log_id_of(url)
    await record(url)
    change(url, PROMOTED)
    adopted(url)
    async with opened(url) as shop:
        await shop.record(add(1))
        followers = shop.parts.followers
        for name, end in ((first, 2), (second, 3), (log_id_of(url), 4)):
            for position in range(end + 1):
                assert await followers.resolve(Start(position), name) == (position, 4)
        for name, end in ((first, 2), (second, 3), ("unknown", -1)):
            for start in (Start(end + 1), Start(from_now=True)):
                with pytest.raises(OtherLog):
                    await followers.resolve(start, name)
    assert [name.after_position for name in names_of(url)] == [0, 2, 3]


async def test_a_server_that_does_not_know_the_new_name_yet_is_told_it_by_a_follower(
    url: str,
) -> None:
    async with opened(url) as shop:
        before = shop.parts.event_log.log_id
        # a connection that is new would read the new name by itself
        await asyncio.gather(*[shop.parts.event_log.head() for _ in range(2 * THREADS)])
        await asyncio.to_thread(adopted, url, "--restored")
        new = log_id_of(url)
        assert await shop.parts.followers.resolve(Start(1), new) == (1, 1)
        assert shop.parts.event_log.log_id == new != before


@pytest.mark.usefixtures("_soon")
async def test_no_server_writes_under_the_old_name_after_an_adoption(url: str) -> None:
    """Nothing but the operator knows that the files of PostgreSQL were put back."""
    async with AsyncExitStack() as stack:
        shops = [await stack.enter_async_context(opened(url)) for _ in range(2)]
        for shop in shops:
            await shop.record(add(1))
        await asyncio.to_thread(adopted, url, "--restored")
        for shop in shops:
            with pytest.raises(WritesRefused):
                await shop.record(add(1))
            await until_fault(shop, None)
            await shop.record(add(1))
    old, new = (name.log_id for name in names_of(url))
    assert [event.event_id.partition("-")[0] for event in events(url)] == [old] * 3 + [new] * 2
    assert checked(url).position == 5


@pytest.mark.parametrize("step", ["adopt_before_commit", "adopt_after_commit"])
def test_an_adoption_that_is_killed_was_made_or_not(url: str, step: str) -> None:
    change(url, PROMOTED)
    before = log_id_of(url)
    ended = command_line("adopt", url, "--yes", environment={failpoints.VARIABLE: f"{step}=exit"})
    assert ended.returncode == EXIT_CODE, ended.stderr
    is_made = step == "adopt_after_commit"
    assert (log_id_of(url) != before) == is_made
    assert len(names_of(url)) == 1 + is_made
    again = adopt(url, "--yes")
    assert again.exit_code == int(is_made), again.stderr
    assert ("nothing is to be adopted" in again.stderr) == is_made
    assert len(names_of(url)) == 2
    asyncio.run(record(url))
    assert not differences(url)


def test_adopt_shows_what_it_has_found_and_asks(url: str) -> None:
    log_id, [(timeline,)] = log_id_of(url), rows(url, "SELECT timeline FROM log_place")
    change(url, PROMOTED)
    without = adopt(url)
    assert without.exit_code == 1
    assert "use --yes" in without.stderr
    assert log_id_of(url) == log_id
    said = adopted(url)
    for words in (log_id, "position 1 of", f"timeline {timeline}", f"timeline {timeline - 1}"):
        assert words in said
    assert "a standby was promoted" in said


@pytest.mark.parametrize(("answer", "is_adopted"), [("n", False), ("y", True)])
def test_on_a_terminal_adopt_does_what_is_answered(
    url: str, answer: str, *, is_adopted: bool
) -> None:
    change(url, PROMOTED)
    before = log_id_of(url)
    terminal, end = pty.openpty()
    os.write(terminal, f"{answer}\n".encode())
    ended = subprocess.run(
        [*COMMAND, "adopt", url], stdin=end, capture_output=True, check=False, env=ENVIRONMENT
    )
    for one in (terminal, end):
        os.close(one)
    assert (ended.returncode == 0) == is_adopted, ended.stderr
    assert (log_id_of(url) != before) == is_adopted


def test_adopt_refuses_where_nothing_is_to_be_adopted(url: str) -> None:
    log_id = log_id_of(url)
    result = adopt(url, "--yes")
    assert result.exit_code == 1
    assert "nothing is to be adopted" in result.stderr
    assert log_id_of(url) == log_id
    change(url, PROMOTED)
    asyncio.run(record(url, failover=Failover.TRUSTED))
    assert adopt(url, "--yes").exit_code == 1
    with postgres.empty_schema() as empty:
        assert "there is no inventory database" in adopt(empty, "--yes").stderr


def test_adopt_is_not_for_files(tmp_path: object) -> None:
    path = f"{tmp_path}/shop.db"
    asyncio.run(record(path))
    result = adopt(path, "--yes")
    assert result.exit_code == 1
    assert "inventory-grpc restore" in result.stderr


def test_a_sealed_log_is_not_adopted(url: str, tmp_path: object) -> None:
    assert CliRunner().invoke(app, ["copy", url, f"{tmp_path}/to.db", "--seal"]).exit_code == 0
    result = adopt(url, "--yes", "--restored")
    assert result.exit_code == 1
    assert "the log has moved" in result.stderr


@pytest.mark.parametrize(
    ("wrong", "found"),
    [
        ("UPDATE log SET log_id = reverse(log_id)", "that of the log is"),
        ("UPDATE log_names SET after_position = 4 WHERE number = 3", "after the end of the log"),
        ("UPDATE log_names SET after_position = 0 WHERE number = 3", "begins before"),
        ("UPDATE log_names SET after_position = 1 WHERE number > 1", "is not the first of"),
        ("UPDATE log_names SET after_position = 3 WHERE number > 1", "which begins after it"),
    ],
)
def test_verify_checks_the_names(url: str, wrong: str, found: str) -> None:
    asyncio.run(record(url))
    for _ in range(2):
        change(url, PROMOTED)
        adopted(url)
    asyncio.run(record(url))
    assert not differences(url)
    change(url, wrong)
    assert any(found in difference for difference in differences(url))


def test_a_log_that_moves_within_postgresql_takes_its_names_along(url: str) -> None:
    first = log_id_of(url)
    change(url, PROMOTED)
    adopted(url)
    asyncio.run(record(url))
    with postgres.empty_schema() as target:
        assert CliRunner().invoke(app, ["copy", url, target, "--seal"]).exit_code == 0
        assert names_of(target) == names_of(url)
        asyncio.run(record(target))
        with closing(Server(target).reader()) as wire:
            assert log_names.end_of(wire, first) == 1
        assert not differences(target)
    with postgres.empty_schema() as copy:
        assert CliRunner().invoke(app, ["copy", url, copy]).exit_code == 0
        asyncio.run(record(copy))
        assert [name.log_id for name in names_of(copy)] == [log_id_of(copy)]
        assert not differences(copy)


def test_a_log_that_may_have_lost_events_is_not_sealed(url: str, tmp_path: object) -> None:
    change(url, PROMOTED)
    result = CliRunner().invoke(app, ["copy", url, f"{tmp_path}/to.db", "--seal"])
    assert result.exit_code == 1
    assert "the log may have lost events" in result.stderr
    adopted(url)
    asyncio.run(record(url))
    again = CliRunner().invoke(app, ["copy", url, f"{tmp_path}/to.db", "--seal"])
    assert again.exit_code == 1
    assert "an unfinished copy of another log" in again.stderr


def test_a_copy_that_has_more_than_its_original_seals_nothing(url: str, tmp_path: object) -> None:
    """A failover beside the copy has lost the last event."""
    asyncio.run(record(url))
    target = f"{tmp_path}/to.db"
    stopped = {failpoints.VARIABLE: "copy_checked=exit"}
    assert command_line("copy", url, target, "--seal", environment=stopped).returncode == EXIT_CODE
    lose_last(url)
    result = CliRunner().invoke(app, ["copy", url, target, "--seal"])
    assert result.exit_code == 1
    assert "events up to 2 that the original lacks" in result.stderr
    asyncio.run(record(url))
    result = CliRunner().invoke(app, ["copy", url, target, "--seal"])
    assert result.exit_code == 1
    assert "that the original lacks" in result.stderr
    asyncio.run(record(url))
