"""A directory that is read-only for a while."""

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def read_only(folder: Path) -> Iterator[Callable[[], None]]:
    """Make *folder* and its files read-only; yield a function that makes them writable again.

    Modes do not restrict root, who mounts the folder read-only; others change the modes.
    """
    is_root = os.geteuid() == 0
    if is_root:
        try:
            _mount("--bind", str(folder), str(folder))
        except (OSError, subprocess.CalledProcessError):
            pytest.skip("root may not mount here, and modes do not restrict root")
        _mount("-o", "remount,bind,ro", str(folder))
        mended = _remounted(folder)
    else:
        mended = _with_modes(folder)
    try:
        yield mended
    finally:
        mended()
        if is_root:
            subprocess.run(["umount", "-l", str(folder)], check=True)


def _remounted(folder: Path) -> Callable[[], None]:
    return lambda: _mount("-o", "remount,bind,rw", str(folder))


def _with_modes(folder: Path) -> Callable[[], None]:
    before = {path: path.stat().st_mode for path in (*folder.iterdir(), folder)}
    for path, mode in before.items():
        path.chmod(mode & 0o555)

    def mended() -> None:
        for path, mode in before.items():
            if path.exists():
                path.chmod(mode)

    return mended


def _mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True, capture_output=True, timeout=20)
