"""Others that use a database file while a test does something with it."""

import fcntl
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def locked_by_another(database: Path) -> Iterator[None]:
    """Hold the lock file as a server does; locks of `flock` count between descriptors, too."""
    file = os.open(f"{database}.lock", os.O_RDWR | os.O_CREAT)
    try:
        fcntl.flock(file, fcntl.LOCK_SH)
        yield
    finally:
        os.close(file)


@contextmanager
def read_by_another(copy: Path) -> Iterator[None]:
    """Have another process read *copy*, as `verify` and `restore` do."""
    reads = (
        "import sys, pathlib\n"
        "from inventory_grpc.infrastructure.sqlite.connection import Database\n"
        "from inventory_grpc.infrastructure.sqlite.events import read_head\n"
        "reader = Database(pathlib.Path(sys.argv[1])).reader()\n"
        "print(read_head(reader), flush=True)\n"
        "sys.stdin.read()\n"
        "reader.close()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", reads, copy], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"1\n"
        yield
        process.communicate()
