"""On what was it measured?"""

import os
import platform
import time
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Final

import apsw

_SYNCS: Final = 50


def facts(folder: Path) -> dict[str, str]:
    """Return what the figures depend on; *folder* is where the database will be."""
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
    """Return how long it takes to make a page durable there: what a lone caller pays."""
    took = []
    with (folder / "sync").open("wb", buffering=0) as file:
        for _ in range(_SYNCS):
            file.write(bytes(4_096))
            started = time.perf_counter()
            os.fsync(file.fileno())
            took.append(time.perf_counter() - started)
    return median(took) * 1_000


def _load_before() -> str:
    """Return how busy the machine was already; figures of a busy one say little."""
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
