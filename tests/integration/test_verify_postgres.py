"""`verify` on PostgreSQL: every difference is named, in pages, beside writers, at any speed."""

import asyncio
import re
import threading
from collections.abc import Iterator
from contextlib import closing
from typing import Final

import psycopg
import pytest
from typer.testing import CliRunner

from inventory_grpc.cli import app
from inventory_grpc.infrastructure import verify_postgres
from inventory_grpc.infrastructure.log.findings import SHOWN
from inventory_grpc.infrastructure.postgres import replay, server, transaction
from inventory_grpc.infrastructure.postgres import verify as of_log
from inventory_grpc.infrastructure.postgres.wire import Wire
from inventory_grpc.infrastructure.verify_postgres import verify
from tests.support import postgres
from tests.support.opened import checked, opened, rows
from tests.support.world import (
    DAMAGED,
    KETTLES,
    TOASTERS,
    add,
    commit,
    move,
    policy,
    release,
    reserve,
)

SNAPSHOT_AFTER: Final = 3
MOST_WRITTEN: Final = 60


async def _live(url: str) -> None:
    """Leave a bit of everything: the stock is stream 2, the reservation is subject 5."""
    async with opened(url) as shop:
        await shop.record(policy(safety_stock=1))
        await shop.record(add(9), "add")
        await shop.record(add(9, TOASTERS))
        await shop.until(4)  # the policy reaches a stock
        await shop.record(reserve({KETTLES: 3, TOASTERS: 2}), "reserve")
        for _ in range(SNAPSHOT_AFTER):
            await shop.record(commit({KETTLES: 1}))
    async with opened(url) as shop:  # which has to fold the reservation
        await shop.record(release(0), "nothing-left")
        await shop.record(release(0), "nothing-to-do")
        await shop.record(move(3, TOASTERS, into=DAMAGED))


@pytest.fixture
def url(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Make a sound log, whose long reservation has a snapshot."""
    monkeypatch.setattr(transaction, "SNAPSHOT_EVERY", SNAPSHOT_AFTER)
    with postgres.empty_schema() as url:
        asyncio.run(_live(url))
        yield url


def _execute(url: str, statement: str) -> None:
    with closing(psycopg.connect(url, autocommit=True)) as connection:
        assert connection.execute(statement.encode()).rowcount, f"{statement} changed nothing"


def _told(url: str) -> tuple[int, list[str], str]:
    """Return what the command line says: the exit code, its lines, and what is for people."""
    result = CliRunner().invoke(app, ["verify", "--database", url])
    return result.exit_code, result.stdout.splitlines(), result.stderr


def test_a_sound_log_has_no_differences(url: str) -> None:
    code, lines, summary = _told(url)
    assert (code, lines) == (0, [])
    [(head,)] = rows(url, "SELECT max(position) FROM events")
    assert f"0 differences in {head} events" in summary
    assert rows(url, "SELECT * FROM subject_snapshots")


DAMAGES: Final = {
    "an event that is gone": (
        "DELETE FROM events WHERE position = 3",
        r"event 3: is missing, or breaks the hash chain",
    ),
    "an event that was changed": (
        r"UPDATE events SET event = event || '\x00' WHERE position = 3",
        r"event 3: is missing, or breaks the hash chain",
    ),
    "an event that is kept under another version": (
        "UPDATE events SET version = 100000 WHERE position = 3",
        r"event 3: version, ordinal, kind are .*",
    ),
    "a stream that no event begins": (
        "INSERT INTO streams VALUES (77, 1, NULL, 'pan', 'faro')",
        r"streams: no event begins \(77, 1, None, 'pan', 'faro', 'pan@faro'\)",
    ),
    "a stream with a number that no event can have": (
        "INSERT INTO streams VALUES (-7, 1, NULL, 'pan', 'faro')",
        r"streams: no event begins \(-7, .*",
    ),
    "a subject that no event begins": (
        "INSERT INTO subjects VALUES (77, 2, 'r9')",
        r"subjects: no event begins \(77, 2, 'r9'\)",
    ),
    "a walk that no event begins": (
        "INSERT INTO unsettled VALUES (2, 5, 'pan@faro')",
        r"unsettled: no event begins \(2, 5, 'pan@faro', None, None\)",
    ),
    "a wrong level": (
        "UPDATE stocks SET on_hand = on_hand + 1 WHERE stream = 2",
        r"stocks: unexpected row \(2, .*",
    ),
    "a stock that is missing": (
        "DELETE FROM stocks WHERE stream = 2",
        r"stocks: missing row \(2, .*",
    ),
    "a reservation line that is missing": (
        "DELETE FROM reservation_lines WHERE stream = 2",
        r"reservation_lines: missing row \(\d+, 2, 3, .*",
    ),
    "a reservation that never was": (
        "INSERT INTO reservations VALUES (9000, 1, NULL, 'ana', NULL, '', 'active', NULL)",
        r"reservations: unexpected row \(9000, 'ana', .*",
    ),
    "a wrong snapshot": (
        "UPDATE subject_snapshots SET state = '{}'",
        r"subject_snapshots: \d+ differs from the log",
    ),
    "a snapshot of nothing": (
        "INSERT INTO subject_snapshots VALUES (77, 1, '{}')",
        r"subject_snapshots: 77 differs from the log",
    ),
    "a request with other events": (
        "UPDATE requests SET position = 1 WHERE request_id = 'reserve'",
        r"requests: reserve is not the request of event 1",
    ),
    "a request with events that are not there": (
        "UPDATE requests SET position = 99999 WHERE request_id = 'add'",
        r"requests: add is not the request of event 99999",
    ),
}


@pytest.mark.parametrize("what", DAMAGES)
def test_damage_is_found_and_named(url: str, what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    statement, expected = DAMAGES[what]
    _execute(url, statement)
    for size in (1_000, 1):
        for module, name in (
            (replay, "PAGE"),
            (of_log, "PAGE"),
            (of_log, "SNAPSHOTS"),
            (verify_postgres, "ROWS"),
        ):
            monkeypatch.setattr(module, name, size)
        code, lines, _ = _told(url)
        assert code == 1
        assert any(re.fullmatch(expected, line) for line in lines), lines


def test_of_a_table_only_some_differences_are_shown(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verify_postgres, "ROWS", 7)
    _execute(
        url,
        "INSERT INTO stocks (stream, on_hand, reserved, version, update_time, available) "
        "SELECT one, 1, 0, 1, 1, 1 FROM generate_series(9000, 9100) AS one",
    )
    _, lines, _ = _told(url)
    assert lines == [line for line in lines if line.startswith("stocks: unexpected row (90")]
    assert len(lines) == SHOWN


def test_silence_during_the_check_is_no_failure(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """PostgreSQL ends a transaction in which the client computes for longer than this."""
    monkeypatch.setitem(server._COMMON, "idle_in_transaction_session_timeout", "250ms")
    monkeypatch.setattr(replay, "PAGE", 3)
    with closing(server.Server(url).reader()) as wire:
        assert (
            wire.value("SELECT current_setting('idle_in_transaction_session_timeout')") == "250ms"
        )
    assert not list(verify(url, lambda _: _wait()))


def _wait() -> None:
    with closing(psycopg.connect(postgres.url())) as connection:
        connection.execute("SELECT pg_sleep(0.4)")


async def test_servers_may_write_meanwhile(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each page of a table is compared with the log up to the same snapshot."""
    monkeypatch.setattr(verify_postgres, "ROWS", 1)
    async with opened(url) as shop:
        loop = asyncio.get_running_loop()
        query = Wire.run
        written = 0

        def beside_a_writer(self: Wire, *arguments: object) -> object:
            nonlocal written
            if _is_of_check() and written < MOST_WRITTEN:
                written += 1
                name = f"beside-{written}"
                for command in (add(2), reserve(1, name), add(1, TOASTERS)):
                    asked = shop.record(command)
                    asyncio.run_coroutine_threadsafe(asked, loop).result()
            return query(self, *arguments)  # type: ignore[arg-type]

        monkeypatch.setattr(Wire, "run", beside_a_writer)
        differences = await asyncio.to_thread(lambda: list(verify(url, lambda _: None)))
        monkeypatch.undo()
    assert not differences
    assert written == MOST_WRITTEN
    checked(url)


def _is_of_check() -> bool:
    return "asyncio_" in threading.current_thread().name
