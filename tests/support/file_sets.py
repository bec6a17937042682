"""Copies of a database with the files beside it, and its files as a server left them."""

import shutil
from pathlib import Path

from inventory_grpc.infrastructure.sqlite.companions import COMPANIONS, companion


def copy_set(path: Path, target: Path, *ends: str) -> Path:
    """Copy the file, and what lies beside it, to *target*: all of it, or these *ends* alone.

    While a server is at work, the copy is as a kill at this moment leaves it.
    """
    target.parent.mkdir(exist_ok=True)
    for end in ends or ("", *COMPANIONS):
        if end != "-shm" and companion(path, end).exists():
            shutil.copy(companion(path, end), companion(target, end))
    return target


def content_of(folder: Path) -> dict[str, bytes]:
    """Return every file in *folder* or below it, but for locks and shared memory."""
    return {
        str(file.relative_to(folder)): file.read_bytes()
        for file in sorted(folder.rglob("*"))
        if file.is_file() and not file.name.endswith((".lock", "-shm"))
    }
