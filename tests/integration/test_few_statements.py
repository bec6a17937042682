"""A batch takes as many statements as one command, since each statement releases the GIL."""

import asyncio
from pathlib import Path
from typing import Final

import apsw
import pytest

from inventory_grpc.infrastructure.sqlite.connection import Database
from tests.support.opened import Opened, opened
from tests.support.world import KETTLES, add, reserve

WARM: Final = 3
"""Batches before the counted ones."""


async def test_a_batch_of_carts_takes_as_many_statements_as_one_cart(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    executed = list[str]()
    writer = Database.writer

    def trace(_: object, sql: str, __: object) -> bool:
        executed.append(sql)
        return True

    def watched(self: Database) -> apsw.Connection:
        connection = writer(self)
        connection.exec_trace = trace
        return connection

    monkeypatch.setattr(Database, "writer", watched)
    async with opened(path) as shop:
        await shop.record(add(100))
        for number in range(WARM):
            await _reserved(shop, f"warm-{number}", 1)
        executed.clear()
        await _reserved(shop, "alone", 1)
        of_one = _of_a_batch(executed)
        executed.clear()
        await _reserved(shop, "together", 5)
        assert len(_of_a_batch(executed)) == len(of_one), "\n".join(executed)


async def _reserved(shop: Opened, name: str, carts: int) -> None:
    """Reserve so many carts in one batch."""
    async with asyncio.timeout(10):
        await asyncio.gather(
            *(shop.ask(reserve({KETTLES: 1}, f"{name}-{cart}")) for cart in range(carts))
        )


def _of_a_batch(executed: list[str]) -> list[str]:
    """Return the statements of the only batch, without those that look for other processes."""
    assert executed.count("COMMIT") == 1
    return executed[executed.index("BEGIN IMMEDIATE") : executed.index("COMMIT")]
