"""G14: damage to files is detected or harmless, and is never served.

Detected is damage that makes a read or the start of a server fail, or that `verify` names.
Harmless is damage that changes nothing that can be read. Nothing lies between the two.

A flipped bit in the WAL is no error to SQLite: it takes the rest for an interrupted write
and drops it, though it was committed. The loss is detected because every commit notes
where the log ends, beside the file (`infrastructure/sqlite/high_water.py`).
"""

import asyncio
import random
from collections import Counter
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Final

import apsw
import pytest
from grpc import StatusCode
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse

from inventory_grpc.application.ports import StorageError
from inventory_grpc.infrastructure.log.replay import LogInconsistent
from inventory_grpc.infrastructure.sqlite.connection import Database
from inventory_grpc.infrastructure.sqlite.opening import prepare
from inventory_grpc.infrastructure.sqlite.readers import Readers
from inventory_grpc.infrastructure.sqlite.schema import NotOurs
from inventory_grpc.infrastructure.sqlite.storage import SqliteStorage
from inventory_grpc.infrastructure.sqlite.verify import verify
from inventory_grpc_protos.v1.queries_pb2 import GetStockRequest
from tests.robustness import damage
from tests.robustness.damage import Damage, a_bit_of
from tests.robustness.originals import Original, at_rest, at_work, content
from tests.support.caller import adding, calling, refused
from tests.support.effort import SEED, campaign, runs
from tests.support.server_process import server_process
from tests.support.world import NOON

AT_REST: Final[Mapping[str, Damage]] = {
    "an event": a_bit_of("events"),
    "a stream": a_bit_of("streams"),
    "a request": a_bit_of("requests"),
    "an index": a_bit_of("index"),
    "a read model": a_bit_of("read model"),
    "a free page": a_bit_of("free"),
    "any page": a_bit_of("any"),
    "the header": damage.a_bit_of_the_header,
    "a value behind checksums": damage.a_value_behind_checksums,
    "a file that was cut off": damage.a_file_that_was_cut_off,
    "swapped pages": damage.swapped_pages,
    "a page as it was": damage.a_page_as_it_was,
    "an older file": damage.an_older_file,
    "junk for shared memory": damage.junk_for_shared_memory,
}

AT_WORK: Final[Mapping[str, Damage]] = {
    "a WAL frame": damage.a_bit_of_a_frame,
    "the WAL header": damage.a_bit_of_the_wal_header,
    "a WAL that was cut off": damage.a_wal_that_was_cut_off,
    "a WAL that is gone": damage.a_wal_that_is_gone,
    "an older WAL": damage.an_older_wal,
    "junk for shared memory": damage.junk_for_shared_memory,
}

HARMLESS: Final = {"a free page", "junk for shared memory"}
"""Damage that may always be harmless; of any other kind most has to be noticed."""


@pytest.fixture(scope="module")
def rested(tmp_path_factory: pytest.TempPathFactory) -> Original:
    return asyncio.run(at_rest(tmp_path_factory.mktemp("rested") / "inventory.db"))


@pytest.fixture(scope="module")
def working(tmp_path_factory: pytest.TempPathFactory) -> Original:
    return asyncio.run(at_work(tmp_path_factory.mktemp("working") / "inventory.db"))


def _consequence(original: Original, database: Database) -> str:
    """Return how the damage shows; `silent` if it does not, and something is not as it was."""
    try:
        changed = list(content(database)) != original.content
    except (apsw.Error, StorageError):
        return "cannot be read"
    try:
        asyncio.run(_start(database))
    except (NotOurs, StorageError, LogInconsistent):
        return "keeps a server from starting"
    try:
        if any(verify(database, lambda _: None)):
            return "is named by verify"
    except (apsw.Error, StorageError):
        return "stops verify"
    return "silent" if changed else "harmless"


async def _start(database: Database) -> None:
    """Do what a server does before it serves."""
    with prepare(database, NOON):
        storage = SqliteStorage(database, Readers(database))
        try:
            await storage.open()
        finally:
            await storage.close()


def _damage_and_look(what: str, harm: Damage, original: Original, path: Path, times: int) -> None:
    seen = Counter[str]()
    with campaign(f"damage to {what}", damages=times) as noted:
        for number in range(times):
            chance = random.Random(f"{SEED} {what} {number}")
            original.lay(path)
            did = harm(original, path, chance)
            how = _consequence(original, Database(path))
            assert how != "silent", f"{did} was not noticed ({what}, number {number}, seed {SEED})"
            seen[how] += 1
        noted["noticed"] = dict(seen)
    assert what in HARMLESS or seen["harmless"] <= times / 2, f"most did no harm: {seen}"


@pytest.mark.parametrize("what", AT_REST)
def test_damage_to_a_file_at_rest_is_detected_or_harmless(
    rested: Original, path: Path, what: str
) -> None:
    _damage_and_look(what, AT_REST[what], rested, path, runs(least=4, ci=22, deep=1_000))


@pytest.mark.parametrize("what", AT_WORK)
def test_damage_to_the_wal_is_detected_or_harmless(
    working: Original, path: Path, what: str
) -> None:
    _damage_and_look(what, AT_WORK[what], working, path, runs(least=4, ci=22, deep=1_000))


def test_control_without_page_checksums_sqlite_lets_many_flips_pass(
    rested: Original, path: Path
) -> None:
    times, unnoticed = runs(least=12, ci=40, deep=400), 0
    bare = Database(path, vfs="unix")
    with campaign("control: no page checksums", damages=times) as noted:
        for number in range(times):
            rested.lay(path)
            a_bit_of("events")(rested, path, random.Random(f"{SEED} control {number}"))
            unnoticed += _is_silent_to_sqlite(rested, bare)
        noted["unnoticed"] = unnoticed
    assert unnoticed > times / 3, "then the tests above have damaged nothing"


def _is_silent_to_sqlite(original: Original, bare: Database) -> bool:
    try:
        with closing(bare.reader()) as connection:
            if connection.pragma("integrity_check") != "ok":
                return False
        return list(content(bare)) != original.content
    except (apsw.Error, UnicodeDecodeError):
        return False


async def test_a_server_tells_callers_of_damage_and_goes_on_with_what_is_whole(
    rested: Original, path: Path, tmp_path: Path
) -> None:
    rested.lay(path)
    a_bit_of("stocks")(rested, path, random.Random(SEED))
    async with (
        server_process(path, tmp_path / "server.log") as server,
        calling(await server.address()) as caller,
    ):
        asked = caller.queries.GetStock(GetStockRequest(product_id="kettle", store_id="lisbon"))
        failed = await refused(asked)
        assert (failed.code, failed.reason) == (StatusCode.DATA_LOSS, "LOG_DAMAGED")
        failed = await refused(caller.commands.AddStock(adding(1)))
        assert failed.code is StatusCode.DATA_LOSS
        health = HealthCheckRequest(service="inventory.v1.InventoryCommands")
        assert (await caller.health.Check(health)).status == HealthCheckResponse.NOT_SERVING
        failed = await refused(caller.commands.AddStock(adding(1, request_id="again")))
        assert (failed.code, failed.reason) == (StatusCode.DATA_LOSS, "LOG_DAMAGED")
        assert len(await caller.log()) == rested.head
