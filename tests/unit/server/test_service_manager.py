"""The variables of systemd are read once; a service manager that is gone stops nothing."""

import asyncio
import os
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from inventory_grpc.server.service_manager import (
    MAX_TRIES,
    NOT_MANAGED,
    READY,
    RETRY_SECONDS,
    STOPPING,
    ServiceManager,
)
from tests.support.virtual_time import virtual_time

ADDRESS = "/run/systemd/notify"
OTHER = b"WATCHDOG=1"


def test_the_variables_are_read_and_removed_and_no_others() -> None:
    environ = {"NOTIFY_SOCKET": ADDRESS, "WATCHDOG_USEC": "30000000", "HOME": "/"}
    assert ServiceManager.taken_from(environ) == ServiceManager(ADDRESS, 30.0)
    assert environ == {"HOME": "/"}
    assert ServiceManager.taken_from(environ) == NOT_MANAGED


@pytest.mark.parametrize(
    ("process", "micros", "seconds"),
    [
        (os.getpid(), "1500000", 1.5),
        (os.getpid() + 1, "1500000", 0.0),
        (os.getpid(), "soon", 0.0),
        (os.getpid(), "", 0.0),
    ],
    ids=["this one", "another one", "no number", "nothing"],
)
def test_only_the_process_that_is_watched_reports(
    process: int, micros: str, seconds: float
) -> None:
    environ = {"NOTIFY_SOCKET": ADDRESS, "WATCHDOG_USEC": micros, "WATCHDOG_PID": str(process)}
    assert ServiceManager.taken_from(environ).watchdog_seconds == seconds


def test_a_service_manager_that_is_gone_is_named_in_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ServiceManager(str(tmp_path / "gone")).report_serving()
    [said] = caplog.messages
    assert said.startswith(f"the service manager at {tmp_path}/gone was not notified of READY=1: ")


@pytest.fixture
def receiver() -> Iterator[socket.socket]:
    """Bind the socket of a service manager, which does not read."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as made:
        made.bind(f"\0inventory-{os.getpid()}")
        made.setblocking(False)  # noqa: FBT003  the standard library's signature
        yield made


@pytest.fixture
def filled(receiver: socket.socket) -> socket.socket:
    """Fill its queue, as when the service manager is busy."""
    with suppress(BlockingIOError):
        while True:  # one socket alone would first fill a buffer of its own
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
                sender.setblocking(False)  # noqa: FBT003  the standard library's signature
                sender.sendto(OTHER, receiver.getsockname())
    return receiver


def manager_at(receiver: socket.socket) -> ServiceManager:
    return ServiceManager(f"@{receiver.getsockname()[1:].decode()}")


def received(receiver: socket.socket) -> list[bytes]:
    """Return what was sent, without that which filled the queue."""
    told: list[bytes] = []
    with suppress(BlockingIOError):
        while True:
            told.append(receiver.recv(100))
    return [message for message in told if message != OTHER]


@pytest.mark.parametrize("seconds", [1.0, RETRY_SECONDS * (MAX_TRIES - 2)])
async def test_readiness_is_reported_when_a_busy_service_manager_reads_again(
    filled: socket.socket, caplog: pytest.LogCaptureFixture, seconds: float
) -> None:
    with virtual_time(asyncio.get_running_loop()):
        manager_at(filled).report_serving()
        await asyncio.sleep(seconds)
        assert received(filled) == []
        await asyncio.sleep(2 * RETRY_SECONDS)
        assert received(filled) == [READY]
        await asyncio.sleep(MAX_TRIES * RETRY_SECONDS)
        assert received(filled) == []
    assert not caplog.messages


async def test_a_service_manager_that_never_reads_blocks_nothing_and_is_named_once(
    filled: socket.socket, caplog: pytest.LogCaptureFixture
) -> None:
    with virtual_time(asyncio.get_running_loop()):
        manager_at(filled).report_serving()
        await asyncio.sleep(MAX_TRIES * RETRY_SECONDS)
        assert received(filled) == []
        [said] = caplog.messages
        assert "was not notified of READY=1: " in said
        await asyncio.sleep(MAX_TRIES * RETRY_SECONDS)
        assert received(filled) == []


async def test_a_server_that_drains_reports_no_readiness_any_more(filled: socket.socket) -> None:
    with virtual_time(asyncio.get_running_loop()):
        manager = manager_at(filled)
        manager.report_serving()
        manager.report_draining()
        await asyncio.sleep(1.0)
        assert received(filled) == []
        await asyncio.sleep(1.0)
        assert received(filled) == [STOPPING]
