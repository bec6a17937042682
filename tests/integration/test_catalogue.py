"""The catalogue is made again from the log, and read after a start as it was."""

from contextlib import closing
from pathlib import Path

import pytest

from inventory_grpc.choices import Catalogue
from inventory_grpc.domain.catalogue import NotInCatalogue
from inventory_grpc.infrastructure.sqlite.connection import Database
from inventory_grpc.infrastructure.sqlite.replay import rebuild
from tests.support.opened import checked, opened, table_of
from tests.support.world import KETTLE, LISBON, add, put, put_store

TABLES = ("products", "stores")


async def test_its_tables_are_made_again_from_the_log(path: Path) -> None:
    async with opened(path) as shop:
        for sku in ("K-1", "K-2", "K-3"):
            await shop.record(put(sku=sku, attributes={"weight": sku, "colour": "red"}))
            await shop.record(put("toaster", name=sku))
            await shop.record(put_store(groups=["coast", sku]))
        product = (await shop.parts.queries.latest().get(KETTLE)).value
        store = (await shop.parts.queries.latest().get(LISBON)).value
    before = {table: table_of(path, table) for table in TABLES}
    assert all(before.values())
    assert set(checked(path).catalogue) == {*("product/kettle", "product/toaster", "store/lisbon")}
    with closing(Database(path).writer()) as connection:
        rebuild(connection, 9, lambda _: None)
    assert {table: table_of(path, table) for table in TABLES} == before
    async with opened(path) as shop:
        assert (await shop.parts.queries.latest().get(KETTLE)).value == product
        assert (await shop.parts.queries.latest().get(LISBON)).value == store
        assert store.create_time < store.update_time
        changed = await shop.record(put(sku="K-4", expected=3))
        assert changed.streams[0].create_time == product.create_time < product.update_time


async def test_what_another_process_puts_is_known_at_once(path: Path) -> None:
    async with opened(path, catalogue=Catalogue.REQUIRED) as shop, opened(path) as office:
        for put_it in (put(), put_store()):
            with pytest.raises(NotInCatalogue):
                await shop.record(add(5))
            await office.record(put_it)
        assert (await shop.record(add(5))).position == 3
