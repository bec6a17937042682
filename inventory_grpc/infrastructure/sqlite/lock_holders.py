"""Names the processes that hold a lock on a file, as far as the system reports them.

Only Linux does, in `/proc/locks`, where a line reads `3: POSIX  ADVISORY  WRITE 4711 fe:00:131
120 120`. Processes of other containers have no id there.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

_LOCKS: Final = Path("/proc/locks")


class HeldLock(NamedTuple):
    """A lock that a process holds: `FLOCK` on a file, or `POSIX` on some of its bytes."""

    kind: str
    access: str
    process: int
    first: int
    last: int


def locks_on(path: Path) -> Iterator[HeldLock]:
    """Yield the locks on the file at *path*; none if the system does not report them."""
    try:
        file, text = path.stat(), _LOCKS.read_text("ascii")
    except OSError:
        return
    device = f"{os.major(file.st_dev):02x}:{os.minor(file.st_dev):02x}:{file.st_ino}"
    for line in text.splitlines():
        match line.split():
            case [_, kind, _, access, process, where, first, last] if where == device:
                end = int(last) if last.isdigit() else int(first)
                yield HeldLock(kind, access, max(int(process), 0), int(first), end)
