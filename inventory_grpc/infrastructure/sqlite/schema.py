"""The schema of the file: its header and format, its tables, and the id of its log."""

from contextlib import closing
from importlib.resources import files
from pathlib import Path
from typing import Final

import apsw

from inventory_grpc.application.ports import Fault, StorageError
from inventory_grpc.application.store import Unusable
from inventory_grpc.infrastructure import read_models
from inventory_grpc.infrastructure.log.names import new_log_id
from inventory_grpc.infrastructure.sqlite.causes import storage_errors
from inventory_grpc.infrastructure.sqlite.companions import companion, has_content
from inventory_grpc.infrastructure.sqlite.connection import Database

APPLICATION_ID: Final = 0x496E7674
"""`Invt`, in the header of every inventory database."""

FORMAT: Final = 5
"""The format of the log, see log.sql. A file of a newer format is not changed."""

_HEADER_BYTES: Final = 100


class NotOurs(Unusable):
    """The file is not an inventory database, or has a newer version; it was not changed."""


def check_header(path: Path) -> int:
    """Return the format of the file, from its first bytes; 0 if it is missing or empty.

    SQLite does not open it. A newer format may still be in the WAL, see `format_of`.

    Raises:
        NotOurs: the file is not an inventory database, or has a newer format.
    """
    if not path.exists() or path.stat().st_size == 0:
        return 0
    with path.open("rb") as file:
        header = file.read(_HEADER_BYTES)
    application_id = int.from_bytes(header[68:72], "big")
    if not header.startswith(b"SQLite format 3\0") or application_id != APPLICATION_ID:
        raise NotOurs(f"{path} is not an inventory database; it was left as it is")
    stored_format = int.from_bytes(header[60:64], "big")
    _check_not_newer(stored_format, path)
    return stored_format


def _check_not_newer(stored_format: int, path: Path) -> None:
    if stored_format > FORMAT:
        raise NotOurs(
            f"{path} has format {stored_format}, this program knows up to {FORMAT}: "
            "use a newer inventory-grpc; the file was left as it is"
        )


def format_of(connection: apsw.Connection) -> int:
    stored_format: int = connection.pragma("user_version")
    return stored_format


def is_current(connection: apsw.Connection) -> bool:
    """Return whether the log and the read models have this program's versions."""
    version: int = connection.execute("SELECT read_models FROM log").get
    return (format_of(connection), version) == (FORMAT, read_models.VERSION)


def check_format(connection: apsw.Connection, path: Path) -> None:
    """Check that the log has this program's format, which a read-only use needs.

    Raises:
        NotOurs: it has an earlier one.
    """
    if (found := format_of(connection)) < FORMAT:
        raise NotOurs(
            f"{path} has format {found}, this program reads {FORMAT}: back it up, then start the "
            "server or run `inventory-grpc rebuild` once, which upgrades it; it was left as it is"
        )


def create(connection: apsw.Connection, now: int) -> None:
    """Create an empty log, and checkpoint it into the main file at once."""
    with connection:
        fill(connection, now, new_log_id())
    write_header(connection)


def fill(connection: apsw.Connection, create_time: int, log_id: str) -> None:
    """Create the tables of an empty log with this id, in a transaction."""
    connection.execute(sql("log.sql"))
    read_models.create(connection)
    connection.execute(
        "INSERT INTO log (one, log_id, create_time, read_models) VALUES (1, ?, ?, ?)",
        (log_id, create_time, read_models.VERSION),
    )
    connection.pragma("application_id", APPLICATION_ID)
    connection.pragma("user_version", FORMAT)


def write_header(connection: apsw.Connection) -> None:
    """Checkpoint the header, so that `check_header`, which does not read the WAL, sees it."""
    connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)


def rename_log(connection: apsw.Connection) -> None:
    """Give a copy a new log id, because its next events are in no other log."""
    connection.execute("UPDATE log SET log_id = ?", (new_log_id(),))


def read_models_of(database: Database) -> int:
    """Return the version of the read models.

    Raises:
        NotOurs: they or the log are newer than this program, even if only in the WAL.
        StorageError: the file cannot be read.
    """
    with closing(inspect(database)) as connection, storage_errors(database.path, connection):
        _check_not_newer(format_of(connection), database.path)
        stored = connection.execute("SELECT read_models FROM log WHERE one = 1").get
    if not isinstance(stored, int):
        raise StorageError(Fault.DAMAGED, detail=f"{database.path}: the table log is incomplete")
    if stored > read_models.VERSION:
        raise NotOurs(
            f"{database.path} has read models {stored}, this program knows {read_models.VERSION}: "
            "use a newer inventory-grpc; the file was left as it is"
        )
    return stored


def inspect(database: Database) -> apsw.Connection:
    """Open the file for inspection; unless it has a WAL, no companion file is created."""
    is_in_use = has_content(companion(database.path, "-wal"))
    return database.reader() if is_in_use else database.immutable()


def sql(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")
