"""Checks that the path still names the file that is open.

A file that is moved, deleted or replaced while it is served stays usable through its open
descriptors. Without this check, commands would be acknowledged into a file that no start finds.
"""

import os
from pathlib import Path
from typing import Final

from inventory_grpc.application.ports import Fault, StorageError
from inventory_grpc.infrastructure.sqlite.file_set import check_files
from inventory_grpc.infrastructure.sqlite.schema import NotOurs

_REMEDY: Final = (
    "put the file back unchanged, with its WAL, and writes continue; or stop this server"
)


class OpenedFile:
    """Remembers the file at a path on the first check, and compares it on the next ones."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._name = str(path)
        self._remembered: os.stat_result | None = None
        self._was_cut = False

    def check(self) -> None:
        """Check that the path names the same file as at the first call.

        A file that was once truncated is never trusted again: it keeps its identity and may
        have been filled with other content.

        Raises:
            StorageError: it names another file, or none, or the file has become shorter.
        """
        try:
            found = os.stat(self._name)  # noqa: PTH116  `Path.stat` takes a third longer, for each batch
        except FileNotFoundError:
            raise self._gone("its file was moved or deleted") from None
        except OSError as error:
            raise self._gone(f"its file cannot be inspected: {error.strerror}") from None
        if self._remembered is None:
            self._remembered = found
        elif not os.path.samestat(found, self._remembered):
            raise self._gone("its file was replaced by another file")
        elif found.st_size < self._remembered.st_size or self._was_cut:
            self._was_cut = True
            raise self._gone("its file was truncated")

    def check_set(self) -> None:
        """Check that the companion files still belong to the file.

        This process must not have the file open in SQLite.

        Raises:
            StorageError: they do not.
        """
        try:
            check_files(self._path)
        except NotOurs as error:
            raise StorageError(
                Fault.BROKEN, why="its files were changed", detail=str(error)
            ) from error

    def _gone(self, why: str) -> StorageError:
        return StorageError(Fault.BROKEN, why=why, detail=f"{self._path}: {_REMEDY}")
