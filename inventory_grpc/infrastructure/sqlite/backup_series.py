"""A folder of backups named by their log and time, of which the oldest ones are removed."""

import os
import re
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple, Self

from inventory_grpc.application.ports import StorageError
from inventory_grpc.infrastructure.log.names import LOG_ID_LENGTH
from inventory_grpc.infrastructure.sqlite import schema
from inventory_grpc.infrastructure.sqlite.backup import ALL_COMPANIONS
from inventory_grpc.infrastructure.sqlite.causes import storage_errors
from inventory_grpc.infrastructure.sqlite.connection import Database
from inventory_grpc.infrastructure.sqlite.events import read_head, read_log_id
from inventory_grpc.infrastructure.sqlite.file_set import check_files
from inventory_grpc.infrastructure.sqlite.opening import InUse, locked
from inventory_grpc.infrastructure.sqlite.read_only_files import readable
from inventory_grpc.infrastructure.sqlite.restoring import closed_to_others
from inventory_grpc.infrastructure.sqlite.staging import left_unfinished

_TIME: Final = "%Y%m%dT%H%M%S.%fZ"
_TIME_PATTERN: Final = r"[0-9]{8}T[0-9]{6}\.[0-9]{6}Z"
_LOG_ID_PATTERN: Final = f"[a-z0-9]{{{LOG_ID_LENGTH}}}"


class Removal(NamedTuple):
    """The copies that were removed, and those that were to be counted or removed but stay."""

    removed: list[Path]
    in_use: list[Path]
    unreadable: list[Path]


@dataclass(frozen=True)
class BackupSeries:
    """The backups of one log: `shop-k3v9x0q2m7ab-20261124T120000.000000Z.db` of `shop.db`.

    The id in the name keeps databases of one name apart that are copied into one folder. A restored
    database is another log, so copies of the former one stay.
    """

    folder: Path
    database: Path
    log_id: str

    @classmethod
    def of(cls, database: Database, folder: Path) -> Self:
        """Return the series in *folder*, which must exist: it may be on a volume that is missing.

        Raises:
            NotADirectoryError: it does not.
            StorageError: the database cannot be read.
        """
        if not folder.is_dir():
            raise NotADirectoryError(
                f"{folder} is no folder; make it, or mount the volume that has it"
            )
        with (
            readable(database) as original,
            closing(original.reader()) as connection,
            storage_errors(original.path, connection),
        ):
            return cls(folder, database.path, read_log_id(connection))

    @property
    def _names(self) -> re.Pattern[str]:
        """The names of its files, and of no other series, such as that of `shop-east.db`."""
        return _pattern(self.database.stem, f"{self.log_id}-")

    def next_target(self) -> Path:
        now = datetime.now(UTC).strftime(_TIME)
        return self.folder / f"{self.database.stem}-{self.log_id}-{now}.db"

    def remove_oldest(self, newest: Path, keep: int) -> Removal:
        """Remove all but *newest* and, of the others, the *keep* - 1 with the last positions.

        The positions of one log grow, so dates of a wrong clock do not count. A copy that a program
        has open stays until the next time. One that cannot be read stays, and is not counted.
        """
        others = [file for file in self._copies(self._names) if file.name != newest.name]
        done = Removal([], [], [])
        if len(others) < keep:
            return done
        positions: dict[Path, int] = {}
        for file in others:
            try:
                positions[file] = _position(file)
            except (StorageError, schema.NotOurs, OSError):
                done.unreadable.append(file)
        oldest_first = sorted(positions, key=lambda file: (positions[file], file.name))
        for file in oldest_first[: max(0, len(positions) - (keep - 1))]:
            try:
                # the lock file is second, because taking it makes it
                with _closed(file), locked(Database(file), exclusive=True, patience_seconds=0.0):
                    _remove(file)
                done.removed.append(file)
            except InUse:
                done.in_use.append(file)
        return done

    def of_other_logs(self) -> list[Path]:
        """Return the copies of other logs of that name, and those that an early release named."""
        of_any_log = _pattern(self.database.stem, f"({_LOG_ID_PATTERN}-)?")
        return [file for file in self._copies(of_any_log) if not self._names.fullmatch(file.name)]

    def _copies(self, names: re.Pattern[str]) -> Iterator[Path]:
        """Yield the files of these *names*.

        An empty file is no copy, but a name that a killed backup has reserved on a file system
        without links.
        """
        for file in self.folder.iterdir():
            is_named = names.fullmatch(file.name) and not file.is_symlink()
            if is_named and file.is_file() and file.stat().st_size:
                yield file

    def left_unfinished(self) -> tuple[Path, ...]:
        """Return what backups of this series that were killed have left.

        Raises:
            InUse: another one is running.
        """
        return left_unfinished(self.folder, self._names)

    def is_on_the_volume_of_the_database(self) -> bool:
        return self.folder.stat().st_dev == self.database.stat().st_dev


def _pattern(stem: str, log: str) -> re.Pattern[str]:
    return re.compile(f"{re.escape(stem)}-{log}{_TIME_PATTERN}" + r"\.db")


def _position(file: Path) -> int:
    """Return the last position in a copy.

    Raises:
        StorageError: it cannot be read.
        NotOurs: it is not an inventory database, or another one's files lie beside it.
    """
    check_files(file)
    copy = Database(file)
    with closing(schema.inspect(copy)) as connection, storage_errors(file, connection):
        return read_head(connection)


def _closed(file: Path) -> AbstractContextManager[None]:
    """Prevent every program from opening a copy; one that cannot write it takes no lock on it."""
    return closed_to_others(file) if os.access(file, os.W_OK) else nullcontext()


def _remove(file: Path) -> None:
    for end in ("", *ALL_COMPANIONS):
        file.with_name(file.name + end).unlink(missing_ok=True)
