"""The supervisor's rules for replacing a worker, and their delays."""

import asyncio
import logging
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest

from inventory_grpc.server import supervisor
from inventory_grpc.server.environment import load
from inventory_grpc.server.supervisor import (
    HUNG_BEATS,
    LONGEST_PAUSE_SECONDS,
    QUIET_BEATS,
    STEADY_SECONDS,
    pause_after,
    supervise,
)
from inventory_grpc.server.worker import End, Worker
from inventory_grpc.server.worker_link import BEAT, BEAT_SECONDS, MAX_REASON, SERVES, Link
from inventory_grpc.settings import Settings
from tests.support.server_process import ENVIRONMENT
from tests.support.waiting import eventually


def test_who_dies_again_and_again_is_replaced_ever_more_slowly_within_a_bound() -> None:
    pauses = [pause_after(None, 1.0)]
    for _ in range(11):
        pauses.append(pause_after(pauses[-1], 1.0))
    assert pauses[:5] == [0.0, 0.1, 0.2, 0.4, 0.8]
    assert pauses[-3:] == [LONGEST_PAUSE_SECONDS] * 3


def test_after_a_long_life_the_next_one_begins_at_once() -> None:
    assert pause_after(LONGEST_PAUSE_SECONDS, STEADY_SECONDS) == 0.0
    assert pause_after(0.0, STEADY_SECONDS - 1) > 0.0


class Process:
    """A process that is there, and does nothing."""

    def __init__(self) -> None:
        self.pid = 0
        self.returncode: int | None = None
        self.killed = threading.Event()

    def kill(self) -> None:
        self.killed.set()

    def poll(self) -> int | None:
        return self.returncode


def _worker() -> tuple[Worker, Any]:
    ours, theirs = socket.socketpair()
    theirs.close()
    ours.close()
    process: Any = Process()
    return Worker(process, ours), process


def test_beats_that_do_not_come_are_counted_once_a_worker_serves_until_it_beats_or_ends() -> None:
    worker, process = _worker()
    assert [worker.count_missed_beat(), worker.count_missed_beat()] == [0, 0], (
        "it may take long to start"
    )
    worker._receive(SERVES[:3])
    worker._receive(SERVES[3:] + BEAT)
    assert [worker.count_missed_beat(), worker.count_missed_beat()] == [1, 2]
    worker._receive(BEAT)
    assert worker.count_missed_beat() == 1
    process.returncode = 0
    assert worker.count_missed_beat() == 0


async def test_one_that_said_that_it_is_done_is_killed_if_it_stays_and_not_complained_of_before(
    caplog: pytest.LogCaptureFixture,
) -> None:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)  # noqa: FBT003  a method of theirs
    process: Any = Process()
    worker, link = Worker(process, ours), Link(1, theirs)
    ending = asyncio.create_task(worker.ended(lambda: None))
    link.report_serving()
    link.end_beats()
    await eventually(lambda: worker.is_leaving)
    supervising = supervisor._Supervisor(Settings(workers=1))
    supervising._workers = {1: worker}
    for _ in range(HUNG_BEATS - 1):
        await supervising._check_workers()
    assert not caplog.messages
    await supervising._check_workers()
    assert process.killed.is_set()
    process.returncode = -signal.SIGKILL
    assert str(await ending) == "was ended by SIGKILL"
    theirs.close()


def test_what_a_worker_says_is_kept_without_its_beats_and_within_a_bound() -> None:
    worker, _ = _worker()
    for said in (SERVES, BEAT * 9, b"the disk", BEAT, b" is full", b"!" * 2 * MAX_REASON):
        worker._receive(said)
    assert worker._received.startswith(SERVES + b"the disk is full!")
    assert len(worker._received) == len(SERVES) + MAX_REASON


async def test_who_is_not_heard_of_is_named_after_2_seconds_and_killed_after_10_and_nobody_else(
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert (QUIET_BEATS * BEAT_SECONDS, HUNG_BEATS * BEAT_SECONDS) == (2.0, 10.0)

    (silent, hung), (beating, well) = _worker(), _worker()
    for worker in (silent, beating):
        worker._receive(SERVES)
    supervising = supervisor._Supervisor(Settings(workers=2))
    supervising._workers = {1: silent, 2: beating}
    caplog.set_level(logging.ERROR)
    for _ in range(HUNG_BEATS + 5):
        assert hung.killed.is_set() == (silent._missed >= HUNG_BEATS)
        beating._receive(BEAT)
        await supervising._check_workers()
    assert hung.killed.is_set()
    assert not well.killed.is_set()
    said = "worker 1 of 2 has sent no heartbeat for"
    assert caplog.messages == [
        f"{said} 2 s: process 0, which does not answer; it is killed after 10 s",
        f"{said} 10 s: process 0, which does not answer; it is killed",
    ]


async def test_who_waits_for_the_disk_is_let_be_until_that_answers(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker, process = _worker()
    worker._receive(SERVES)
    supervising = supervisor._Supervisor(Settings(workers=1))
    supervising._workers = {1: worker}
    caplog.set_level(logging.ERROR)
    monkeypatch.setattr(Worker, "_state", lambda _: "D")
    for _ in range(2 * HUNG_BEATS):
        await supervising._check_workers()
    assert not process.killed.is_set()
    waits = "process 0, which waits for the disk; it is"
    assert [message.partition("no heartbeat for ")[2] for message in caplog.messages] == [
        f"2 s: {waits} killed after 10 s",
        f"10 s: {waits} not killed until the disk answers",
        f"20 s: {waits} not killed until the disk answers",
    ]
    monkeypatch.setattr(Worker, "_state", lambda _: "T")
    for _ in range(HUNG_BEATS):
        assert not process.killed.is_set()
        await supervising._check_workers()
    assert process.killed.is_set()


async def test_who_is_told_to_stop_is_not_expected_to_beat(
    caplog: pytest.LogCaptureFixture,
) -> None:
    worker, process = _worker()
    worker._receive(SERVES)
    supervising = supervisor._Supervisor(Settings(workers=1))
    supervising._workers = {1: worker}
    supervising._stop.set()
    caplog.set_level(logging.ERROR)
    for _ in range(HUNG_BEATS):
        await supervising._check_workers()
    assert not process.killed.is_set()
    assert caplog.messages == []


def test_a_supervisor_does_not_carry_what_only_servers_need() -> None:
    imports = "import sys, inventory_grpc.cli, inventory_grpc.server.supervisor"
    program = f"{imports}; print('grpc' in sys.modules)"
    ended = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        check=True,
        env=ENVIRONMENT,
        text=True,
    )
    assert ended.stdout.strip() == "False"


def _no_room(_: threading.Thread) -> None:
    raise RuntimeError("can't start new thread")


async def test_the_end_of_a_worker_is_seen_where_there_is_no_room_for_a_thread(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(threading.Thread, "start", _no_room)
    ours, theirs = socket.socketpair()
    ours.setblocking(False)  # noqa: FBT003  a method of theirs
    with theirs:
        process: subprocess.Popen[bytes] = subprocess.Popen(  # noqa: ASYNC220  as the supervisor does
            [sys.executable, "-c", "raise SystemExit(3)"], stdin=theirs.fileno()
        )
    async with asyncio.timeout(20):
        end = await Worker(process, ours).ended(lambda: None)
    assert end.how == "ended with 3"


class IdleWorker:
    """A worker that serves until it drains."""

    def __init__(self) -> None:
        self.drained = asyncio.Event()

    async def ended(self, serves: Callable[[], None]) -> End:
        serves()
        await self.drained.wait()
        return End("ended with 0", "", is_orderly=True)

    def drain(self) -> None:
        self.drained.set()

    def kill(self) -> None:
        self.drained.set()


async def test_what_nobody_expected_of_one_worker_leaves_no_other_without_a_supervisor(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    workers: dict[int, IdleWorker] = {}

    def start(number: int, _: Settings) -> IdleWorker:
        if number == 2:
            raise ValueError("a bug")
        return workers.setdefault(number, IdleWorker())

    monkeypatch.setattr(Worker, "start", start)
    settings = load({}, listen="127.0.0.1:0", workers=2)
    async with asyncio.timeout(20):
        with pytest.raises(ValueError, match="a bug"):
            await supervise(settings)
    assert workers[1].drained.is_set()
