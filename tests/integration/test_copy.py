"""`copy` moves a log between files and PostgreSQL: the same log, in one place at a time."""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from typing import Any, Final

import psycopg
import pytest
from typer.testing import CliRunner

from inventory_grpc.application import failpoints
from inventory_grpc.application.failpoints import EXIT_CODE
from inventory_grpc.application.failures import WritesRefused
from inventory_grpc.application.ports import Fault
from inventory_grpc.application.store import Unusable
from inventory_grpc.cli import app
from inventory_grpc.domain.book import Command
from inventory_grpc.infrastructure import copying
from inventory_grpc.infrastructure.postgres import copy_source as postgres_source
from inventory_grpc.infrastructure.postgres import copy_target as postgres_target
from inventory_grpc.infrastructure.postgres import replay as postgres_replay
from inventory_grpc.infrastructure.sqlite import copy_source as sqlite_source
from inventory_grpc.infrastructure.sqlite import copy_target as sqlite_target
from inventory_grpc.infrastructure.sqlite.connection import Database
from inventory_grpc.infrastructure.store import open_source, open_target
from tests.support import postgres
from tests.support.clock import ManualClock
from tests.support.opened import checked, opened, rows
from tests.support.world import (
    DAMAGED,
    DAY,
    KETTLES,
    TOASTERS,
    add,
    commit,
    move,
    policy,
    release,
    remove,
    reserve,
)

Place = Path | str

STEPS: Final = ("copy_step", "copy_requests", "copy_checked", "copy_sealed", "copy_finish")
EVENTS: Final = (
    "SELECT position, stream, version, ordinal, kind, subject, event, hash, alerts "
    "FROM events ORDER BY position"
)
REQUESTS: Final = (
    "SELECT actor, request_id, fingerprint, position, outcome, record_time FROM requests "
    "ORDER BY record_time, position, actor, request_id"
)


async def _live(place: Place) -> None:
    """Leave a bit of everything; one policy has not reached its stocks."""
    async with opened(place) as shop:
        for number in range(20):
            await shop.answers(shop.ask(add(2), f"add-{number}"), shop.ask(remove(1)))
        await shop.record(add(9, TOASTERS), "toasters")
        await shop.record(policy(safety_stock=1), "policy")
        await shop.record(reserve({KETTLES: 3, TOASTERS: 2}), "reserve")
        await shop.record(commit({KETTLES: 1}), "commit")
        await shop.record(release(0), "nothing-left")
        await shop.record(release(0), "nothing-to-do")
        await shop.record(move(3, TOASTERS, into=DAMAGED), "move")


@pytest.fixture(
    params=["sqlite to postgres", "postgres to sqlite", "postgres to postgres", "sqlite to sqlite"]
)
def places(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Place, Place]]:
    """Return a database with a log, and a place without one."""
    source, _, target = request.param.split()
    with ExitStack() as stack:

        def place(engine: str, name: str) -> Place:
            if engine == "sqlite":
                return tmp_path / name
            return stack.enter_context(postgres.empty_schema())

        made = place(source, "from.db"), place(target, "to.db")
        asyncio.run(_live(made[0]))
        yield made


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the steps of copies small."""
    for module in (sqlite_source, postgres_replay):
        monkeypatch.setattr(module, "PAGE", 7)
    for module in (sqlite_source, postgres_source):
        monkeypatch.setattr(module, "REQUESTS", 5)


def _told(source: Place, target: Place, *options: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["copy", str(source), str(target), *options])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stderr


def _copied(source: Place, target: Place, *options: str) -> str:
    code, said = _told(source, target, *options)
    assert code == 0, said
    return said


def _log_id(place: Place) -> str:
    [(log_id,)] = rows(place, "SELECT log_id FROM log")
    return str(log_id)


def _all(place: Place) -> list[list[tuple[Any, ...]]]:
    """Return the log: events with hashes, names, requests and walks."""
    return [
        rows(place, query)
        for query in (
            EVENTS,
            REQUESTS,
            "SELECT stream, kind, id, product_id, store_id, name FROM streams ORDER BY 1",
            "SELECT * FROM subjects ORDER BY 1",
            "SELECT since, kind, name, product_id, store_id FROM unsettled ORDER BY 1",
            "SELECT create_time FROM log",
        )
    ]


@pytest.mark.usefixtures("small")
def test_a_copy_has_all_of_the_log_and_is_one_of_its_own(places: tuple[Place, Place]) -> None:
    source, target = places
    before = _all(source)
    said = _copied(source, target)
    assert _log_id(target) != _log_id(source)
    assert f"as log {_log_id(target)}" in said
    assert _all(target) == _all(source) == before
    checked(target)

    async def go_on(place: Place) -> None:
        async with opened(place) as shop:
            await shop.record(add(1))

    for place in places:
        asyncio.run(go_on(place))
        checked(place)


@pytest.mark.usefixtures("small")
def test_a_log_that_moved_goes_on_under_its_name_and_answers_as_before(
    places: tuple[Place, Place],
) -> None:
    source, target = places
    log_id, before = _log_id(source), _all(source)
    commands: dict[str, Command] = {
        "toasters": add(9, TOASTERS),
        "nothing-to-do": release(0),
        "commit": commit({KETTLES: 1}),
    }

    async def ask_again(place: Place) -> list[Any]:
        async with opened(place) as shop:
            return [await shop.record(command, name) for name, command in commands.items()]

    given = asyncio.run(ask_again(source))
    _copied(source, target, "--seal")
    assert (_log_id(target), _all(target)) == (log_id, before)
    assert asyncio.run(ask_again(target)) == given
    assert all(answer.replayed for answer in given)
    checked(target)
    checked(source)
    _copied(source, target, "--seal")  # it is done, which may not have been heard


@pytest.mark.usefixtures("small")
def test_a_server_that_runs_on_a_sealed_log_refuses_and_names_the_new_place(
    places: tuple[Place, Place],
) -> None:
    source, target = places
    new = str(target)

    async def story() -> None:
        async with opened(source) as shop, opened(source) as other:
            await shop.record(add(1))
            await other.record(add(1), "last")
            last = await other.record(add(1), "last")
            await asyncio.to_thread(_copied, source, target, "--seal")
            for _ in range(3):
                with pytest.raises(WritesRefused) as refused:
                    await shop.record(add(1))
                assert str(refused.value) == (
                    f"writes are refused: the log has moved: it goes on at {new}"
                )
            await shop.until(last.position)
            assert (await shop.levels()) == (await other.levels())
        async with opened(source) as again:
            with pytest.raises(WritesRefused, match="the log has moved"):
                await again.record(add(1))
            assert again.parts.breaker.fault is Fault.SEALED
            assert (await again.levels()).on_hand == 22 - 1
        async with opened(target) as moved:
            assert (await moved.record(add(1), "last")) == last
            assert (await moved.record(add(1))).position == last.position + 1

    asyncio.run(story())
    checked(target)


@pytest.mark.usefixtures("small")
def test_what_was_acknowledged_beside_the_move_is_there_once(
    places: tuple[Place, Place], monkeypatch: pytest.MonkeyPatch
) -> None:
    source, target = places
    acknowledged: dict[str, int] = {}
    refusals: list[str] = []
    passed = set[str]()

    def beside_writers(point: str) -> None:
        """Go on when more was acknowledged, as long as that can be."""
        passed.add(point)
        more = len(acknowledged) + 2
        while len(acknowledged) < more and "copy_sealed" not in passed:
            time.sleep(0.001)

    monkeypatch.setattr(copying, "reach", beside_writers)

    async def write(shop: Any, writer: int) -> None:  # noqa: ANN401
        for number in range(100_000):
            name = f"{writer}-{number}"
            command = add(1) if number % 3 else release(0)
            try:
                acknowledged[name] = (await shop.record(command, name)).position
            except WritesRefused as refused:
                refusals.append(str(refused))
                return

    async def story() -> None:
        async with opened(source) as one, opened(source) as two:
            writers = [
                asyncio.create_task(write(shop, writer)) for writer, shop in enumerate((one, two))
            ]
            await asyncio.to_thread(_copied, source, target, "--seal")
            await asyncio.gather(*writers)

    asyncio.run(story())
    assert len(acknowledged) > 10
    assert [refusal.count("the log has moved") for refusal in refusals] == [1, 1]
    stored = {name: position for _, name, _, position, *_ in rows(target, REQUESTS)}
    assert acknowledged.keys() <= stored.keys()
    assert _all(target) == _all(source)
    checked(target)


class Killed(BaseException):
    """The process ends here."""


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("options", [(), ("--seal",)])
def test_a_copy_that_is_killed_again_and_again_goes_on(
    places: tuple[Place, Place], options: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each run ends one step later than the one before, until one comes to its end."""
    source, target = places
    log_id, left, passed = _log_id(source), 0, set[str]()

    def reach(point: str) -> None:
        nonlocal left
        left -= 1
        passed.add(point)
        if not left:
            raise Killed

    for module in (copying, sqlite_target, postgres_target):
        monkeypatch.setattr(module, "reach", reach)
    for run in range(1, 100):
        left = run
        with suppress(Killed):
            code, said = _told(source, target, *options)
            assert code == 0 or "there is a log already" in said
            break
        if run % 5 == 0 and "copy_sealed" not in passed:
            asyncio.run(_add(source))
    assert run > len(STEPS)
    assert passed == {*STEPS} if options else {*STEPS} - {"copy_sealed"}
    assert _all(target) == _all(source)
    assert (_log_id(target) == log_id) == bool(options)
    checked(target)


async def _add(place: Place) -> None:
    async with opened(place) as shop:
        await shop.record(add(1), os.urandom(4).hex())


def test_a_process_that_is_killed_at_each_step_leaves_what_the_next_one_needs(
    places: tuple[Place, Place],
) -> None:
    source, target = places
    log_id = _log_id(source)
    command = [sys.executable, "-m", "inventory_grpc", "copy", str(source), str(target), "--seal"]
    for step in STEPS:
        variables = {**os.environ, failpoints.VARIABLE: f"{step}=exit"}
        ended = subprocess.run(command, check=False, capture_output=True, env=variables)
        assert ended.returncode == EXIT_CODE, (step, ended.stderr)
        if step != "copy_finish":
            with pytest.raises(Unusable):
                asyncio.run(_open(target))
    subprocess.run(command, check=True, capture_output=True)
    assert _log_id(target) == log_id
    assert _all(target) == _all(source)
    checked(target)


async def _open(place: Place) -> None:
    async with opened(place, create=False):
        pass


def test_an_unfinished_copy_serves_nobody(places: tuple[Place, Place]) -> None:
    source, target = places
    with open_source(source) as original, open_target(target, original.log_id) as made:
        assert not made.is_finished
        with pytest.raises(Unusable):
            asyncio.run(_open(target))
        code, said = _told(source, target)
        assert code == 1
        assert "another process is" in said
    _copied(source, target)
    asyncio.run(_open(target))


def test_a_place_with_another_log_is_refused(places: tuple[Place, Place], tmp_path: Path) -> None:
    source, target = places
    other = tmp_path / "other.db"
    asyncio.run(_add(other))
    with open_source(other) as original, open_target(target, original.log_id):
        pass
    code, said = _told(source, target, "--seal")
    assert code == 1
    assert "an unfinished copy of another log" in said
    _copied(other, target)
    code, said = _told(source, target, "--seal")
    assert code == 1
    assert "there is a log already" in said
    asyncio.run(_add(source))


def test_a_log_moves_to_one_place_only(places: tuple[Place, Place], tmp_path: Path) -> None:
    source, target = places
    _copied(source, target, "--seal")
    code, said = _told(source, tmp_path / "third.db", "--seal")
    assert code == 1
    assert f"it goes on at {target}" in said
    _copied(source, own := tmp_path / "own.db")  # which is another log
    assert _log_id(own) != _log_id(source)
    asyncio.run(_add(own))
    back = tmp_path / "back.db"
    _copied(target, back, "--seal")
    assert _log_id(back) == _log_id(source)
    asyncio.run(_add(back))


@pytest.mark.parametrize("options", [(), ("--seal",)])
def test_a_copy_of_a_copy_has_the_whole_chain(
    places: tuple[Place, Place], tmp_path: Path, options: tuple[str, ...]
) -> None:
    """Its first event was recorded under another id than that of the log."""
    source, target = places
    _copied(source, own := tmp_path / "own.db")
    asyncio.run(_add(own))
    _copied(own, target, *options)
    assert _all(target) == _all(own)
    checked(target)
    _copied(target, again := tmp_path / "again.db", *options)
    assert _all(again) == _all(own)
    checked(again)


def test_a_log_that_contradicts_itself_is_neither_copied_nor_sealed(
    places: tuple[Place, Place],
) -> None:
    source, target = places
    _execute(source, "UPDATE events SET hash = event WHERE position = 9")
    code, said = _told(source, target, "--seal")
    assert code == 1
    assert "event 9: is missing, or breaks the hash chain" in said
    with open_source(source) as original:
        assert original.sealed() is None


@pytest.mark.usefixtures("small")
def test_a_stock_that_lacks_a_version_is_named_wherever_a_page_ends(
    places: tuple[Place, Place],
) -> None:
    source, target = places
    stock = "SELECT max(position) FROM events WHERE stream IN (SELECT stream FROM stocks)"
    [(position,)] = rows(source, stock)
    _execute(source, f"UPDATE events SET version = version + 8 WHERE position = {position}")  # noqa: S608  a number
    code, said = _told(source, target)
    assert code == 1
    assert f"event {position}: version, ordinal, kind are" in said


def _execute(place: Place, statement: str) -> None:
    if isinstance(place, str):
        with closing(psycopg.connect(place, autocommit=True)) as connection:
            connection.execute(statement.encode())
    else:
        with closing(Database(place).writer()) as connection:
            connection.execute(statement)


async def test_requests_are_forgotten_in_the_order_of_time_as_before(tmp_path: Path) -> None:
    """In a file they are deleted in the order in which they were stored."""
    with postgres.empty_schema() as source:
        clock = ManualClock()
        async with opened(source, wall=clock.wall) as shop:
            for number, name in enumerate(("z", "m", "a")):
                clock.go_on(DAY)
                await shop.record(add(1), name)
                assert number >= 0
        target = tmp_path / "to.db"
        await asyncio.to_thread(_copied, source, target)
    stored = [name for (name,) in rows(target, "SELECT request_id FROM requests ORDER BY request")]
    assert stored == ["z", "m", "a"]


def test_each_table_is_checked_before_the_log_moves(
    places: tuple[Place, Place], monkeypatch: pytest.MonkeyPatch
) -> None:
    source, target = places
    for module in (sqlite_target, postgres_target):
        monkeypatch.setattr(module, "subject_rows", lambda _: [])
    code, said = _told(source, target, "--seal")
    assert code == 1
    assert "the copy differs from its events" in said
    with open_source(source) as original:
        assert original.sealed() is None
