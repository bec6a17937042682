"""What do processes and those that they started take of the machine?

Told by /proc, hence on Linux alone; elsewhere nothing is known.
"""

import os
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

_PARENT, _USER, _SYSTEM = 1, 11, 12  # fields of `stat`, counted after the name


def cpu_seconds(*process_ids: int) -> float | None:
    """Return the processor time that the families have used so far."""
    ticks = [
        int(stat[_USER]) + int(stat[_SYSTEM])
        for one in members(*process_ids)
        if (stat := _stat(one))
    ]
    return sum(ticks) / os.sysconf("SC_CLK_TCK") if ticks else None


def resident_mb(*process_ids: int) -> float | None:
    """Return the resident memory of the largest of the families, in 10^6 bytes."""
    pages = [
        int(statm.read_text("ascii").split()[1])
        for one in members(*process_ids)
        if (statm := Path(f"/proc/{one}/statm")).exists()
    ]
    return max(pages) * os.sysconf("SC_PAGE_SIZE") / 1e6 if pages else None


def members(*process_ids: int) -> Sequence[int]:
    """Return processes and all that come from them, parents first."""
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
