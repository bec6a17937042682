"""The variables of systemd are read once; a service manager that is gone stops nothing."""

import os
import socket
from pathlib import Path

import pytest

from inventory_grpc.server.service_manager import NOT_MANAGED, READY, ServiceManager

ADDRESS = "/run/systemd/notify"


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


def test_a_service_manager_that_reads_nothing_blocks_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    name = f"inventory-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(f"\0{name}")
        manager = ServiceManager(f"@{name}")
        while not caplog.messages:
            manager.report_serving()
        assert receiver.recv(100) == READY
