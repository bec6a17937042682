"""Facts about the machine, and the processor time and memory of processes and their children.

Processes are read from /proc, which only Linux has; elsewhere the values are unknown.
"""

import os
import platform
import time
from collections import defaultdict
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Final

import apsw

_SYNCS: Final = 50
_PARENT, _USER, _SYSTEM = 1, 11, 12  # fields of `stat`, counted after the name


def facts(folder: Path) -> dict[str, str]:
    """Return the circumstances that figures depend on; *folder* is that of the database."""
    return {
        "machine": f"{_processor()}, {os.cpu_count()} cores, {_memory()}",
        "system": f"{platform.system()} {platform.release()}",
        "load before": _load_before(),
        "fsync": f"{sync_ms(folder):.2f} ms",
        "Python": f"{platform.python_implementation()} {platform.python_version()}",
        "grpcio": version("grpcio"),
        "protobuf": version("protobuf"),
        "SQLite": apsw.sqlite_lib_version(),
        "inventory-grpc": version("inventory-grpc"),
    }


def sync_ms(folder: Path) -> float:
    """Return the median time of an fsync in *folder*, which a single caller waits for."""
    took = []
    with (folder / "sync").open("wb", buffering=0) as file:
        for _ in range(_SYNCS):
            file.write(bytes(4_096))
            started = time.perf_counter()
            os.fsync(file.fileno())
            took.append(time.perf_counter() - started)
    return median(took) * 1_000


def _load_before() -> str:
    """Return the load average before the run; a high one makes figures useless."""
    return f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "unknown"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except FileNotFoundError:
        return platform.processor() or platform.machine()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


def _memory() -> str:
    try:
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (OSError, ValueError):
        return "memory unknown"
    return f"{total / 2**30:.0f} GiB"


def cpu_seconds(*process_ids: int) -> float | None:
    """Return the processor time of the processes and their descendants so far."""
    ticks = [
        int(stat[_USER]) + int(stat[_SYSTEM])
        for one in members(*process_ids)
        if (stat := _stat(one))
    ]
    return sum(ticks) / os.sysconf("SC_CLK_TCK") if ticks else None


def resident_mb(*process_ids: int) -> float | None:
    """Return the resident memory of the largest of these processes, in 10^6 bytes."""
    pages = [
        int(statm.read_text("ascii").split()[1])
        for one in members(*process_ids)
        if (statm := Path(f"/proc/{one}/statm")).exists()
    ]
    return max(pages) * os.sysconf("SC_PAGE_SIZE") / 1e6 if pages else None


def members(*process_ids: int) -> Sequence[int]:
    """Return the processes and their descendants, parents first."""
    children: defaultdict[int, list[int]] = defaultdict(list)
    for path in Path("/proc").glob("[0-9]*"):
        if stat := _stat(int(path.name)):
            children[int(stat[_PARENT])].append(int(path.name))
    found = [*process_ids]
    for member in found:
        found += children[member]
    return found


def _stat(process_id: int) -> list[str]:
    try:
        stat = Path(f"/proc/{process_id}/stat").read_text("ascii", "replace")
    except (FileNotFoundError, ProcessLookupError):
        return []
    return stat.rpartition(")")[2].split()
