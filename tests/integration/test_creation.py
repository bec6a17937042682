"""A database is created completely or not at all, and a failure says why and what to do."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

import apsw
import pytest

from inventory_grpc.application.ports import Fault, StorageError
from inventory_grpc.infrastructure.sqlite.causes import storage_errors
from inventory_grpc.infrastructure.sqlite.connection import Database
from inventory_grpc.infrastructure.sqlite.opening import prepare
from tests.support import fault_vfs
from tests.support.fault_vfs import Faults, faulty_file_system

MANY: Final = 100
"""More calls than a creation makes."""


@pytest.fixture
def faults() -> Iterator[Faults]:
    with faulty_file_system() as faults:
        yield faults


def _failure_of_start(database: Database) -> StorageError | None:
    try:
        with prepare(database, 0):
            return None
    except StorageError as error:
        return error


def test_a_disk_that_is_full_at_any_call_leaves_nothing_and_is_named(
    path: Path, faults: Faults
) -> None:
    database = Database(path, vfs=fault_vfs.NAME)
    for nth in range(1, MANY):
        faults.fail(nth, apsw.FullError, for_good=True)
        if (failure := _failure_of_start(database)) is None:
            break
        assert failure.fault is Fault.FULL, failure
        assert str(failure).startswith(f"the disk is full; {path}")
        left = {file.name for file in path.parent.iterdir()}
        assert left == {f"{path.name}.lock"}
    assert nth > 3
    faults.mend()
    with prepare(database, 0):
        assert path.exists()


def test_what_sqlite_rolled_back_by_itself_is_reported_with_its_cause(path: Path) -> None:
    with closing(apsw.Connection(":memory:")) as connection:
        connection.execute("CREATE TABLE kettles (name)")
        connection.pragma("max_page_count", 4)
        with pytest.raises(StorageError, match="the disk is full") as failed:
            _overfill(connection, path)
    assert failed.value.fault is Fault.FULL


def _overfill(connection: apsw.Connection, path: Path) -> None:
    with storage_errors(path), connection:
        connection.execute("INSERT INTO kettles VALUES (zeroblob(100_000))")
