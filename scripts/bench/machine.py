"""Facts about the machine, and the processor time and memory of processes."""

import os
import platform
import resource
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Final

import apsw
import psutil

_SYNCS: Final = 50


def facts(folder: Path) -> dict[str, str]:
    """Return the circumstances that figures depend on; *folder* is that of the database."""
    memory = psutil.virtual_memory().total
    return {
        "machine": f"{_processor()}, {os.cpu_count()} cores, {memory / 2**30:.0f} GiB",
        "system": f"{platform.system()} {platform.release()}",
        "load before": f"{psutil.getloadavg()[0]:.1f}",  # figures of a busy machine are useless
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


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except FileNotFoundError:
        return platform.processor() or platform.machine()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


def cpu_seconds(*process_ids: int) -> float | None:
    """Return the processor time of the processes and their descendants so far."""
    times = [process.cpu_times() for process in members(*process_ids)]
    return sum(one.user + one.system for one in times) if times else None


def cpu_of_children() -> float:
    """Return the processor time of the processes that were started here and have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def resident_mb(*process_ids: int) -> float | None:
    """Return the resident memory of the largest of these processes, in 10^6 bytes."""
    sizes = [process.memory_info().rss for process in members(*process_ids)]
    return max(sizes) / 1e6 if sizes else None


def members(*process_ids: int) -> Sequence[psutil.Process]:
    """Return the processes that run, and their descendants."""
    found = [psutil.Process(one) for one in process_ids if psutil.pid_exists(one)]
    return [*found, *(child for one in found for child in one.children(recursive=True))]
