"""A folder of backups named by their times, of which the oldest ones are removed."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Self

from inventory_grpc.infrastructure.sqlite.backup import ALL_COMPANIONS
from inventory_grpc.infrastructure.sqlite.staging import left_unfinished

_TIME: Final = "%Y%m%dT%H%M%S.%fZ"
_TIME_PATTERN: Final = r"[0-9]{8}T[0-9]{6}\.[0-9]{6}Z"


@dataclass(frozen=True)
class BackupSeries:
    """The backups of one database in a folder: `shop-20261124T120000.000000Z.db` of `shop.db`."""

    folder: Path
    database: Path

    @classmethod
    def of(cls, database: Path, folder: Path) -> Self:
        """Return the series in *folder*, which must exist: it may be on a volume that is missing.

        Raises:
            NotADirectoryError: it does not.
        """
        if not folder.is_dir():
            raise NotADirectoryError(
                f"{folder} is no folder; make it, or mount the volume that has it"
            )
        return cls(folder, database)

    @property
    def prefix(self) -> str:
        return f"{self.database.stem}-"

    @property
    def _names(self) -> re.Pattern[str]:
        """The names of its files, and of no other series, such as that of `shop-east.db`."""
        return re.compile(re.escape(self.prefix) + _TIME_PATTERN + r"\.db")

    def next_target(self) -> Path:
        return self.folder / f"{self.prefix}{datetime.now(UTC).strftime(_TIME)}.db"

    def remove_oldest(self, newest: Path, keep: int) -> list[Path]:
        """Remove all but the last *keep*; return those that were removed.

        *newest* always stays, also after the wall clock was set back. An empty file is no copy, but
        a name that a killed backup has reserved on a file system without links; it is left alone.
        """
        others = sorted(
            file
            for file in self.folder.iterdir()
            if self._names.fullmatch(file.name)
            and file.is_file()
            and not file.is_symlink()
            and file.stat().st_size
            and file.name != newest.name
        )
        removed = others[: max(0, len(others) - (keep - 1))]
        for file in removed:
            for end in ("", *ALL_COMPANIONS):
                file.with_name(file.name + end).unlink(missing_ok=True)
        return removed

    def left_unfinished(self) -> tuple[Path, ...]:
        """Return what backups of this series that were killed have left.

        Raises:
            InUse: another one is running.
        """
        return left_unfinished(self.folder, self._names)

    def is_on_the_volume_of_the_database(self) -> bool:
        return self.folder.stat().st_dev == self.database.stat().st_dev
