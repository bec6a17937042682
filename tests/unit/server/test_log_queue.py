"""Logging never blocks: lines without room are dropped, counted and reported."""

import asyncio
import errno
import fcntl
import json
import logging
import os
import select
import subprocess
import sys
from collections.abc import Iterator
from typing import Final

import pytest
import structlog

from inventory_grpc.server import log_queue
from inventory_grpc.server.log_queue import DRAIN_SECONDS, MAX_WAITING, LogQueue
from tests.support.server_process import ENVIRONMENT
from tests.support.waiting import eventually

SMALL: Final = 4_096
"""The size of the smallest pipe."""

LINE: Final = "x" * 99 + "\n"


class Pipe:
    """A pipe that is soon full, and queues in front of it."""

    def __init__(self) -> None:
        self.reader, self.writer = os.pipe()
        fcntl.fcntl(self.writer, fcntl.F_SETPIPE_SZ, SMALL)
        os.set_blocking(self.reader, False)
        self._queues: list[LogQueue] = []

    def queue(self, max_waiting: int = MAX_WAITING, drain_seconds: float = 20.0) -> LogQueue:
        self._queues.append(LogQueue(self.writer, max_waiting, drain_seconds))
        return self._queues[-1]

    def close(self) -> None:
        os.close(self.reader)  # whoever waits for room in it then goes on
        for queue in self._queues:
            queue._drain_seconds = 20.0
            queue.drain()
        os.close(self.writer)


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    pipe = Pipe()
    yield pipe
    pipe.close()


def _taken(reader: int) -> str:
    try:
        return os.read(reader, 1 << 20).decode()
    except BlockingIOError:
        return ""


async def _everything(reader: int, end: str) -> str:
    """Read until *end* has come."""
    read: list[str] = []

    def has_come() -> bool:
        read.append(_taken(reader))
        return end in "".join(read[-2:])

    await eventually(has_come)
    return "".join(read)


@pytest.fixture
def _notices_go_to_the_queue(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Have structlog write to whatever is standard error at that moment."""
    structlog.configure(
        processors=[structlog.processors.JSONRenderer()],
        logger_factory=lambda *_: structlog.WriteLogger(sys.stderr),
        cache_logger_on_first_use=False,
    )
    monkeypatch.setattr(sys, "stderr", sys.stderr)
    yield
    structlog.reset_defaults()


@pytest.mark.usefixtures("_notices_go_to_the_queue")
async def test_log_lines_without_room_are_dropped_counted_and_reported_in_place(
    pipe: Pipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = pipe.queue(max_waiting=10 * SMALL)
    monkeypatch.setattr(sys, "stderr", lines)
    written = [f"{number:04}{LINE[4:]}" for number in range(1_000)]
    for line in written:
        lines.write(line)
    read = ""
    while lines._waiting >= 9 * SMALL:
        read += _taken(pipe.reader)
        await asyncio.sleep(0)
    lines.write("there is room, but the gap goes on\n")
    read += await _everything(pipe.reader, "dropped")
    lines.write("the next line\n")
    read += await _everything(pipe.reader, "next line\n")
    *told, notice, last = read.splitlines(keepends=True)
    assert 10 * SMALL // 100 <= len(told) <= (11 * SMALL) // 100
    assert told == written[: len(told)], "in order, without a gap"
    assert json.loads(notice)["dropped"] == len(written) - len(told) + 1
    assert last == "the next line\n"


async def test_a_bound_holds_what_waits(pipe: Pipe) -> None:
    lines = pipe.queue(max_waiting=SMALL)
    for _ in range(1_000):
        lines.write(LINE)
    assert lines._waiting <= SMALL
    assert MAX_WAITING == 4 * 1024 * 1024, "the default that the README promises"


def test_the_end_waits_for_a_reader_only_so_long_and_once(pipe: Pipe) -> None:
    lines = pipe.queue(drain_seconds=0.01)
    for _ in range(100):
        lines.write(LINE)
    lines.drain()  # comes back
    assert lines._drain_seconds == 0.0, "the next one does not wait at all"
    assert DRAIN_SECONDS == 1.0, "the default that the README promises"


def test_what_waits_is_written_before_the_end() -> None:
    program = (
        "import sys; from inventory_grpc.server.log_queue import queued\n"
        "sys.stderr = queued(sys.stderr)\n"
        "for number in range(5000): print(number, file=sys.stderr)\n"
        "raise SystemExit('the last')"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, check=False, env=ENVIRONMENT
    )
    assert ended.stderr.decode().split() == [*map(str, range(5000)), "the", "last"]
    assert ended.returncode == 1


async def test_a_descriptor_that_others_have_made_not_to_block_is_waited_for(
    pipe: Pipe,
) -> None:
    os.set_blocking(pipe.writer, False)
    lines = pipe.queue()
    for _ in range(200):
        lines.write(LINE)
    lines.write("end\n")
    assert await _everything(pipe.reader, "end\n") == 200 * LINE + "end\n"


@pytest.mark.usefixtures("_notices_go_to_the_queue")
async def test_lines_that_could_not_be_written_are_told_once_they_can(
    pipe: Pipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_full = True
    write = os.write

    def onto_a_full_disk(descriptor: int, text: bytes) -> int:
        if descriptor == pipe.writer and is_full:
            raise OSError(errno.ENOSPC, "the disk is full")
        return write(descriptor, text)

    monkeypatch.setattr(os, "write", onto_a_full_disk)
    lines = pipe.queue()
    monkeypatch.setattr(sys, "stderr", lines)
    for _ in range(7):
        lines.write(LINE)
        lines.drain()
    is_full = False
    lines.write("room again\n")
    assert '"dropped": 7' in await _everything(pipe.reader, "dropped")


def test_lines_are_written_whole_in_pieces_that_a_pipe_takes_at_once() -> None:
    text = b"".join(b"%d" % number * (number % 400) + b"\n" for number in range(2_000))
    long = b"y" * (2 * select.PIPE_BUF) + b"\n"
    pieces = list(log_queue._pieces(text + long + text))
    assert b"".join(pieces) == text + long + text
    assert all(piece.endswith(b"\n") for piece in pieces)
    assert {len(piece) > select.PIPE_BUF for piece in pieces if b"y" not in piece} == {False}


def test_without_standard_error_nothing_is_written_and_all_is_well() -> None:
    stream = log_queue.queued(None)
    assert not stream.isatty()
    print("to nobody", file=stream)
    logging.StreamHandler(stream).flush()
    stream.close()


async def test_a_bug_in_writing_one_line_does_not_keep_the_others_from_being_written(
    pipe: Pipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = pipe.queue()
    put_out, bugs = lines._put_out, [ValueError("a bug")]

    def fail_once(text: bytes) -> None:
        if bugs:
            raise bugs.pop()
        put_out(text)

    def fail(_: int) -> None:
        raise ValueError("a bug in telling of it")

    monkeypatch.setattr(lines, "_put_out", fail_once)
    monkeypatch.setattr(lines, "_report", fail)
    for line in ("one\n", "two\n", "three\n"):
        lines.write(line)
    assert await _everything(pipe.reader, "three") == "two\nthree\n"
