"""How soon is a worker replaced, and what does its supervisor do without?"""

import asyncio
import socket
import subprocess
import sys
import threading
from collections.abc import Callable

import pytest

from inventory_grpc.settings import Settings
from inventory_grpc.supervisor import LONGEST_PAUSE_SECONDS, STEADY_SECONDS, pause_after, supervise
from inventory_grpc.worker import End, Worker
from tests.support.server_process import ENVIRONMENT


def test_who_dies_again_and_again_is_replaced_ever_more_slowly_within_a_bound() -> None:
    pauses = [pause_after(None, 1.0)]
    for _ in range(11):
        pauses.append(pause_after(pauses[-1], 1.0))
    assert pauses[:5] == [0.0, 0.1, 0.2, 0.4, 0.8]
    assert pauses[-3:] == [LONGEST_PAUSE_SECONDS] * 3


def test_after_a_long_life_the_next_one_begins_at_once() -> None:
    assert pause_after(LONGEST_PAUSE_SECONDS, STEADY_SECONDS) == 0.0
    assert pause_after(0.0, STEADY_SECONDS - 1) > 0.0


def test_a_supervisor_does_not_carry_what_only_servers_need() -> None:
    program = (
        "import sys, inventory_grpc.cli, inventory_grpc.supervisor; print('grpc' in sys.modules)"
    )
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
    settings = Settings.load({}, listen="127.0.0.1:0", workers=2)
    async with asyncio.timeout(20):
        with pytest.raises(ValueError, match="a bug"):
            await supervise(settings)
    assert workers[1].drained.is_set()
