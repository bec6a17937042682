"""A storage error names the operation, the path and the cause."""

import errno
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import apsw
import pytest

from inventory_grpc.application.failures import WritesRefused
from inventory_grpc.application.ledger.circuit_breaker import BreakerState
from inventory_grpc.application.ports import Fault, StorageError
from inventory_grpc.infrastructure.sqlite.causes import storage_errors
from inventory_grpc.infrastructure.sqlite.connection import Database
from tests.support.opened import checked, opened
from tests.support.waiting import eventually
from tests.support.world import add


@contextmanager
def limited(kind: int, most: int) -> Iterator[None]:
    """Lower a limit of this process meanwhile."""
    before, hard = resource.getrlimit(kind)
    resource.setrlimit(kind, (most, hard))
    try:
        yield
    finally:
        resource.setrlimit(kind, (before, hard))


async def test_a_write_that_the_system_refuses_is_reported_with_its_message_and_number(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with opened(path) as shop:
        await shop.record(add(5))
        wal = path.with_name(path.name + "-wal").stat().st_size
        with limited(resource.RLIMIT_FSIZE, wal):
            await shop.answers(shop.ask(add(1)))
            breaker = shop.parts.breaker
            assert breaker.state is not BreakerState.CLOSED
            (refused,) = await shop.answers(shop.ask(add(1)))
            assert isinstance(refused, WritesRefused)
            assert refused.why == f"storage failed: {os.strerror(errno.EFBIG)}"
            assert f"{path}: disk I/O error, SQLITE_IOERR_WRITE, errno 27" in caplog.text
            assert str(path) not in f"{refused} {refused.facts()}"
            assert (await shop.levels()).on_hand == 5
        await eventually(lambda: breaker.state is BreakerState.CLOSED)
    checked(path)


def test_a_file_that_cannot_be_opened_for_want_of_descriptors_says_so(path: Path) -> None:
    Database(path).creator().close()
    with limited(resource.RLIMIT_NOFILE, 3), pytest.raises(StorageError) as refused:
        Database(path).reader()
    assert refused.value.why == os.strerror(errno.EMFILE)
    assert str(path) in str(refused.value)


def test_a_folder_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(StorageError) as refused:
        Database(tmp_path / "missing" / "inventory.db").writer()
    assert refused.value.fault is Fault.BROKEN
    assert refused.value.why == os.strerror(errno.ENOENT)
    assert f"{tmp_path}/missing: No such file" in refused.value.detail


def test_a_bug_stays_what_it_is(path: Path) -> None:
    with pytest.raises(apsw.SQLError), storage_errors(path):
        apsw.Connection(":memory:").execute("SELECT * FROM nothing")
