"""Files written by any release are read and continued by this one.

A file is kept for each format that was ever released; to add one, run this module:
`PYTHONPATH=.:generated python -m tests.robustness.test_releases`.
"""

import asyncio
import gzip
import hashlib
from pathlib import Path
from typing import Final

import pytest

from inventory_grpc.domain.store import StoreKind
from inventory_grpc.domain.values import Never, Span, Ttl
from inventory_grpc.infrastructure.sqlite import schema
from inventory_grpc.infrastructure.sqlite.connection import Database
from inventory_grpc.infrastructure.sqlite.schema import FORMAT, NotOurs
from tests.support.format_1 import unpack
from tests.support.model import Model
from tests.support.opened import change, checked, hash_of, opened, stored
from tests.support.world import (
    DAMAGED,
    HALF_AN_HOUR,
    KETTLES,
    PORTO_KETTLES,
    R1,
    R2,
    RETURNED,
    TOASTERS,
    add,
    commit,
    count,
    extend,
    move,
    put,
    put_store,
    release,
    remove,
    reserve,
)

A_SECOND: Final = Ttl(Span(1_000_000))
RELEASES: Final = Path(__file__).with_name("releases")
FIRST_WITH_ALERTS: Final = 4
KEPT: Final = sorted(RELEASES.glob("format-*.db.gz"))


def _fold(model: Model) -> str:
    """Return all that a log leads to, as one hash."""
    told = f"{sorted(model.shelves.items())} {sorted(model.promises.items())}"
    if model.catalogue:
        told += f" {sorted(model.catalogue.items())}"
    if states := {key: shelf.states() for key, shelf in model.shelves.items() if shelf.states()}:
        told += f" {states}"
    others = {key: shelf.shown() for key, shelf in model.shelves.items() if shelf.is_particular()}
    if others:
        told += f" {sorted(others.items())}"
    return hashlib.sha256(told.encode()).hexdigest()


def _unpack(kept: Path, path: Path) -> str:
    """Lay a kept file where it is to be opened; return what it leads to."""
    unpack(kept, path)
    return kept.with_suffix(".sha256").read_text("ascii").strip()


def _clear_beside(path: Path) -> list[str]:
    """Remove what SQLite leaves beside a file; return what it was."""
    found = list(path.parent.glob(f"{path.name}-*"))
    for beside in found:
        beside.unlink()
    return [beside.name for beside in found]


async def test_every_format_has_a_file_here() -> None:
    kept = {int(path.name.partition("-")[2][0]) for path in KEPT}
    assert kept == set(range(1, FORMAT + 1))


@pytest.mark.parametrize("kept", KEPT, ids=lambda kept: kept.name)
async def test_files_of_every_release_are_read_and_continued(kept: Path, path: Path) -> None:
    expected = _unpack(kept, path)
    before = stored(path)
    silent = len(before) if int(kept.name[len("format-")]) < FIRST_WITH_ALERTS else 0
    assert _fold(Model(before, silent=silent)) == expected
    async with opened(path) as server:
        again = await server.record(add(20, KETTLES), "delivery-1")
        assert (again.replayed, again.position) == (True, 1)
        assert (await server.record(add(1, KETTLES), "delivery-2")).position > len(before)
    assert stored(path)[: len(before)] == before
    checked(path, silent=silent)


@pytest.mark.parametrize("what", ["PRAGMA user_version = 99", "UPDATE log SET read_models = 99"])
async def test_a_newer_format_is_refused_untouched(path: Path, what: str) -> None:
    _unpack(KEPT[-1], path)
    if what.startswith("PRAGMA"):
        connection = Database(path).writer()
        connection.execute(what)
        connection.wal_checkpoint()
        connection.close()
    else:
        change(path, what)
    _clear_beside(path)
    before = hash_of(path)
    with pytest.raises(NotOurs, match="newer inventory-grpc"):
        async with opened(path):
            pass
    assert hash_of(path) == before
    assert not _clear_beside(path), "something was left beside it"


async def _write(path: Path) -> None:
    """Write a little of everything there is."""
    async with opened(path) as server:
        await server.record(add(20, KETTLES), "delivery-1")
        await server.record(add(9, PORTO_KETTLES))
        await server.record(count(17, TOASTERS, expected=0))
        await server.record(remove(2, KETTLES))
        await server.record(reserve({KETTLES: 5, TOASTERS: 2}, R1, expiration=HALF_AN_HOUR))
        await server.record(reserve({PORTO_KETTLES: 3}, R2, expiration=HALF_AN_HOUR))
        await server.record(commit({KETTLES: 2}, R1), "payment-1")
        await server.record(extend(Never(), R1))
        await server.record(release({}, R2))
        await server.record(release({}, R2), "nothing-to-release")
        await server.record(extend(Never(), R1), "nothing-to-extend")
        await server.record(reserve({KETTLES: 1, PORTO_KETTLES: 4}, "short", expiration=A_SECOND))
        await server.until(server.parts.head.position + 2)
        for number in range(12):
            name = f"cart-{number}"
            await server.record(reserve({KETTLES: 1, TOASTERS: 1}, name), f"cart of {number}")
            if number % 3 != 1:
                await server.record(commit({TOASTERS: 1}, name), f"payment of {number}")
            if number % 3 != 2:
                await server.record(release({}, name))
            await server.record(add(2, TOASTERS))
        await server.record(commit(0, "cart-2"), "payment of the rest")
        for colour in ("red", "blue", "blue"):
            kettle = put("kettle", attributes={"colour": colour, "weight": "900 g"})
            await server.record(kettle, f"a {colour} kettle")
        await server.record(put("toaster"))
        for groups in ({"coast", "north"}, {"coast"}, {"coast"}):
            lisbon = put_store("lisbon", kind=StoreKind.WAREHOUSE, groups=groups)
            await server.record(lisbon, f"lisbon in {len(groups)}")
        await server.record(add(3, KETTLES, state=RETURNED))
        await server.record(move(2, KETTLES, out_of=RETURNED, into=DAMAGED))
        await server.record(move(1, TOASTERS, into=DAMAGED), "fell down")
        await server.record(remove(1, KETTLES, state=DAMAGED))
        await server.record(count(1, TOASTERS, expected=None, state=DAMAGED))


if __name__ == "__main__":
    target = RELEASES / f"format-{schema.FORMAT}.db"
    asyncio.run(_write(target))
    target.with_suffix(".db.sha256").write_text(_fold(checked(target)) + "\n", "ascii")
    target.with_suffix(".db.gz").write_bytes(gzip.compress(target.read_bytes(), mtime=0))
    for file in RELEASES.glob("*.db*"):
        if file.suffix not in {".gz", ".sha256"}:
            file.unlink()
