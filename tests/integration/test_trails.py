"""Trails in the file: how much is read of them, and the guard against a second reversal."""

from pathlib import Path

import apsw
import pytest

from inventory_grpc.domain.stock import StockAdjusted
from inventory_grpc.domain.values import EventAt
from inventory_grpc.infrastructure.rows import corrections
from tests.support.history import event_of
from tests.support.scribe import Scribe
from tests.support.stores import STORES
from tests.support.world import KETTLES, add, count, reverse


async def test_no_more_counts_are_read_than_a_batch_can_reverse(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(corrections, "STANDING_READ", 2)
    async with STORES["sqlite"](tmp_path) as store:
        await Scribe(store).record(add(5), *map(count, range(5)), reverse(6))
        key = EventAt(1)
        found = await store.storage.observe(lambda transaction: transaction.trails([key]))
    trail = found[key]
    assert trail is not None
    assert [each.position for each in trail.corrections] == [7, 6, 5, 4]
    assert trail.counted_by == 5


async def test_the_file_refuses_to_record_a_second_reversal(tmp_path: Path) -> None:
    twice = event_of(3, KETTLES, StockAdjusted(-5, None, reverses=1), version=3)
    async with STORES["sqlite"](tmp_path) as store:
        await Scribe(store).record(add(5), reverse(1))
        with pytest.raises(Exception, match="UNIQUE") as failed:
            await store.storage.transact(lambda transaction: transaction.write([twice], []))
        assert isinstance(failed.value.__cause__ or failed.value, apsw.ConstraintError)
        assert await store.event_log.head() == 2
