"""A systemd that runs as the first process of its own namespaces, for units that are tried."""

import os
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from tests.support.server_process import ROOT
from tests.support.tools import find_tool

SYSTEMD: Final = Path("/lib/systemd/systemd")
BOOT: Final = Path(__file__).with_name("boot.sh")
SECONDS: Final = 300
NAMESPACES: Final = ("--pid", "--mount", "--net", "--uts", "--ipc", "--cgroup", "--kill-child")


class Told(NamedTuple):
    """The output of the steps, and their exit code."""

    text: str
    code: int


def booted(steps: str, shared: Path) -> Told:
    """Boot, run *steps* as root in it with the folder *shared* at `/srv/shared`, and end it.

    The test is skipped where this machine does not allow that.
    """
    if not SYSTEMD.exists() or os.geteuid() or (hierarchy := _cgroups()) is None:
        pytest.skip("needs root, systemd and cgroup2")
    for program in ("unshare", "nsenter", "ip", "openssl"):
        find_tool(program)
    (shared / "steps.sh").write_text(steps, "utf-8")
    group = hierarchy / f"inventory-grpc-{os.getpid()}"
    try:
        group.mkdir()
        (group / "try").mkdir()
    except OSError as error:
        pytest.skip(f"needs a cgroup of its own: {error}")
    packages = sysconfig.get_path("purelib")
    boot = ["sh", *map(str, (BOOT, shared, sys.base_prefix, packages, ROOT))]
    enter = f'echo $$ > {group}/try/cgroup.procs && exec unshare {" ".join(NAMESPACES)} --fork "$@"'
    try:
        done = subprocess.run(
            ["sh", "-c", enter, "sh", *boot],
            capture_output=True,
            check=False,
            text=True,
            timeout=SECONDS,
        )
    finally:
        for folder, _, _ in os.walk(group, topdown=False):
            Path(folder).rmdir()
    if not (shared / "code").exists():
        pytest.skip(f"this machine does not let a systemd boot: {done.stderr.strip()}")
    return Told((shared / "told").read_text("utf-8"), int((shared / "code").read_text("ascii")))


def _cgroups() -> Path | None:
    """Return where this machine has its cgroups of version 2."""
    for line in Path("/proc/self/mounts").read_text("utf-8").splitlines():
        _, place, kind, *_ = line.split(" ")
        if kind == "cgroup2":
            return Path(place)
    return None
