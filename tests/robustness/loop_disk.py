"""A disk that loses unsynced writes on a power cut: ext4 in a file, and copies of it.

The copy holds only what had reached the device. Pages that the kernel still cached for the
inner file system are missing, exactly as after a power cut.
"""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

BYTES: Final = 48 * 1024 * 1024
KEEP_SECONDS: Final = 60
"""The age at which the kernel writes back unsynced pages: longer than any test."""


def why_not() -> str:
    """Return what is missing here to mount such a disk; empty if nothing is."""
    if os.geteuid() != 0:
        return "mounting a disk takes root"
    for program in ("mkfs.ext4", "losetup", "mount", "umount"):
        if shutil.which(program) is None:
            return f"there is no {program} here"
    free = subprocess.run(["losetup", "--find"], capture_output=True, check=False, text=True)
    return f"no loop device: {free.stderr.strip()}" if free.returncode else ""


@dataclass
class LoopDisk:
    """The disk as it is now, mounted."""

    mounted: Path
    image: Path
    cuts: int = 0

    def cut_power(self) -> None:
        """Go on with what has reached the device, and nothing else."""
        self.cuts += 1
        copy = self.image.with_name(f"{self.cuts}.img")
        _run("cp", "--sparse=never", str(self.image), str(copy))
        _run("umount", str(self.mounted))
        self.image.unlink()
        self.image = copy
        _mount(copy, self.mounted)


@contextmanager
def loop_disk(directory: Path) -> Iterator[LoopDisk]:
    """Make a disk, mounted below *directory*; on leaving, see that it is gone."""
    image, mounted = directory / "0.img", directory / "disk"
    mounted.mkdir()
    with image.open("wb") as file:
        file.truncate(BYTES)
    _run("mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=0", str(image))
    _mount(image, mounted)
    disk = LoopDisk(mounted, image)
    try:
        yield disk
    finally:
        if mounted.is_mount():
            _run("umount", str(mounted))
        disk.image.unlink()


def _mount(image: Path, where: Path) -> None:
    _run("mount", "-o", f"loop,commit={KEEP_SECONDS}", str(image), str(where))


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, timeout=60)
