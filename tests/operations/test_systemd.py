"""The units are valid and sandboxed, by the judgement of systemd itself, and fit the server."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from inventory_grpc.server.environment import load, unknown, variable
from inventory_grpc.server.supervisor import LAST_SECONDS
from inventory_grpc.server.worker_link import OVERTIME_SECONDS
from inventory_grpc.settings import Settings
from tests.support.server_process import ROOT
from tests.support.tools import find_tool

UNITS: Final = ROOT / "scripts/deploy/systemd"
INSTALLED: Final = "/opt/inventory-grpc/bin/inventory-grpc"
MOST_EXPOSED: Final = 2.0
"""Of 10, as `systemd-analyze security` counts: below it, a service is called protected."""


@pytest.fixture
def units(tmp_path: Path) -> Path:
    """Copy the units as they are installed, with the drop-in; the program is the one under test."""
    program = str(Path(sys.executable).with_name("inventory-grpc"))
    for unit in UNITS.glob("inventory-grpc*"):
        text = unit.read_text("utf-8").replace(INSTALLED, program)
        (tmp_path / unit.name).write_text(text, "utf-8")
    (dropins := tmp_path / "inventory-grpc.service.d").mkdir()
    shutil.copy(UNITS / "tls.conf", dropins)
    return tmp_path


def analyze(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [find_tool("systemd-analyze"), *arguments],
        capture_output=True,
        check=False,
        env={**os.environ, "SYSTEMD_UNIT_PATH": f"{folder}:", "LC_ALL": "C.UTF-8"},
        text=True,
    )


def test_systemd_finds_no_fault_with_the_units(units: Path) -> None:
    files = sorted(str(file) for file in units.glob("inventory-grpc*.*") if file.is_file())
    assert len(files) == 3
    done = analyze(units, "verify", *files)
    assert (done.returncode, done.stderr) == (0, "")


def test_systemd_finds_a_fault_that_is_made(units: Path) -> None:
    service = units / "inventory-grpc.service"
    service.write_text(service.read_text("utf-8").replace("Type=notify", "Type=notifies"), "utf-8")
    assert "Failed to parse service type" in analyze(units, "verify", str(service)).stderr


@pytest.mark.parametrize("name", ["inventory-grpc.service", "inventory-grpc-backup.service"])
def test_the_services_are_sandboxed(units: Path, name: str) -> None:
    done = analyze(units, "security", "--offline=true", "--no-pager", str(units / name))
    told = re.search(r"exposure level for \S+: ([0-9.]+)", done.stdout)
    assert told is not None, done.stderr
    assert float(told[1]) <= MOST_EXPOSED


def _values(file: str, key: str) -> list[str]:
    text = (UNITS / file).read_text("utf-8")
    return re.findall(rf"^{key}=(.*)$", text, re.MULTILINE)


def test_every_variable_is_a_setting_and_the_server_takes_its_value() -> None:
    environment: dict[str, str] = {}
    for file in ("inventory-grpc.service", "tls.conf"):
        environment |= dict(one.split("=", 1) for one in _values(file, "Environment"))
    assert len(environment) > 5
    assert not unknown(environment, map(variable, Settings.__dataclass_fields__))
    settings = load(environment)
    assert not settings.is_loopback
    assert (settings.allow_plaintext, settings.allow_anonymous) == (False, False)
    assert settings.callers == Path("/etc/inventory-grpc/callers.toml")


def test_without_the_drop_in_the_service_is_on_loopback() -> None:
    environment = dict(
        one.split("=", 1) for one in _values("inventory-grpc.service", "Environment")
    )
    assert load(environment).is_loopback


def test_systemd_waits_for_the_longest_drain() -> None:
    [seconds] = _values("inventory-grpc.service", "TimeoutStopSec")
    assert float(seconds) > Settings.drain_seconds + OVERTIME_SECONDS + LAST_SECONDS


def test_both_services_have_the_same_user_and_database() -> None:
    for key in ("User", "DynamicUser", "StateDirectoryMode", "Environment"):
        service, backup = (
            _values(f"inventory-grpc{which}.service", key)[:1] for which in ("", "-backup")
        )
        assert service == backup != []
