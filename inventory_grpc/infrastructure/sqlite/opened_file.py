"""The file that is open, and whether its path still names it.

A file that is moved, deleted or replaced while it is served goes on under its open descriptors:
without a look at the path everything would be acknowledged into a file that no start finds.
"""

import os
from pathlib import Path
from typing import Final

from inventory_grpc.application.ports import Fault, StorageError
from inventory_grpc.infrastructure.sqlite.belonging import check_files
from inventory_grpc.infrastructure.sqlite.schema import NotOurs

_REMEDY: Final = "put the file back as it was, with its WAL, and writes go on; or stop this server"


class OpenedFile:
    """Looks at a path: the first time to remember its file, then to find it there again."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._name = str(path)
        self._remembered: os.stat_result | None = None
        self._was_cut = False

    def check(self) -> None:
        """Return if the path names the file that it named at the first call.

        A file that was once cut off is never trusted again: it may have been filled with
        something else, which has the same identity.

        Raises:
            StorageError: it names another file, or none, or the file is shorter than it was.
        """
        try:
            found = os.stat(self._name)  # noqa: PTH116  `Path.stat` takes a third longer, for each batch
        except FileNotFoundError:
            raise self._gone("its file was moved or deleted") from None
        except OSError as error:
            raise self._gone(f"its file cannot be looked at: {error.strerror}") from None
        if self._remembered is None:
            self._remembered = found
        elif not os.path.samestat(found, self._remembered):
            raise self._gone("another file was put in the place of its file")
        elif found.st_size < self._remembered.st_size or self._was_cut:
            self._was_cut = True
            raise self._gone("its file was cut off")

    def check_set(self) -> None:
        """Return if what lies beside the path still belongs to its file.

        The process may not have it open by SQLite.

        Raises:
            StorageError: it does not.
        """
        try:
            check_files(self._path)
        except NotOurs as error:
            raise StorageError(
                Fault.BROKEN, why="its files were changed", detail=str(error)
            ) from error

    def _gone(self, why: str) -> StorageError:
        return StorageError(Fault.BROKEN, why=why, detail=f"{self._path}: {_REMEDY}")
