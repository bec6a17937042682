"""The processor time and memory of a server's workers count for the server."""

import subprocess
import sys
from collections.abc import Iterator

import pytest

from scripts.bench import machine

PARENT = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", sys.argv[1]])
print("begun", flush=True)
child.wait()
"""
CHILD = """
import sys, time
held = b"x" * 80_000_000
while time.process_time() < 0.3: pass
print("used", flush=True)
time.sleep(60)
"""


@pytest.fixture
def parent() -> Iterator["subprocess.Popen[str]"]:
    """Yield a process whose child has used processor time and memory, and lives."""
    process = subprocess.Popen(
        [sys.executable, "-c", PARENT, CHILD], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout
    assert {process.stdout.readline(), process.stdout.readline()} == {"begun\n", "used\n"}
    yield process
    for member in reversed(machine.members(process.pid)):
        member.kill()
    process.wait()
    process.stdout.close()


def test_what_a_child_takes_is_counted_for_the_family(parent: "subprocess.Popen[str]") -> None:
    used, resident = machine.cpu_seconds(parent.pid), machine.resident_mb(parent.pid)

    assert used is not None
    assert resident is not None
    assert used >= 0.3
    assert resident >= 80


def test_of_a_process_that_is_gone_nothing_is_known() -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()

    assert machine.cpu_seconds(gone.pid) is None
    assert machine.resident_mb(gone.pid) is None
