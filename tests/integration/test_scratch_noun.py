"""A noun that only the registry knows is recorded, folded, replayed and checked like the others.

It has streams of its own, no levels and no read model. Its fact borrows the message of another
one, because a fact needs a message in the contract.
"""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple, Self

import pytest

from inventory_grpc.application.access import Scope
from inventory_grpc.application.outcomes import Outcome
from inventory_grpc.application.ports import Reading
from inventory_grpc.domain.book import Book
from inventory_grpc.domain.event import Cause, Change, Event, Fact
from inventory_grpc.domain.levels import Levels
from inventory_grpc.domain.registry import STREAMS
from inventory_grpc.domain.stock import StockAdded, StockAdjusted
from inventory_grpc.domain.values import Instant, StoreId
from inventory_grpc.infrastructure.codec import UnknownFact, decode, encoded
from inventory_grpc.infrastructure.log import ids, states_json
from inventory_grpc.infrastructure.sqlite import schema
from inventory_grpc.infrastructure.sqlite.connection import Database
from inventory_grpc.infrastructure.sqlite.replay import rebuild
from inventory_grpc.infrastructure.sqlite.schema import NotOurs
from inventory_grpc.infrastructure.sqlite.verify import verify
from inventory_grpc_protos.v1 import events_pb2 as pb
from tests.support.opened import change, events, opened, stored
from tests.support.world import KETTLES, NOON, R1, add, commit, reserve


@dataclass(frozen=True, slots=True)
class CrateId:
    name: str

    def __str__(self) -> str:
        return self.name


class Crate(NamedTuple):
    crate_id: CrateId
    content: int = 0
    version: int = 0

    @property
    def key(self) -> CrateId:
        return self.crate_id

    @property
    def levels(self) -> None:
        """Return nothing: a crate has none."""

    def then(self, fact: Fact, time: Instant) -> Self:  # noqa: ARG002  it keeps no time
        assert isinstance(fact, StockAdjusted)
        return type(self)(self.crate_id, self.content + fact.delta, self.version + 1)


@dataclass(frozen=True, slots=True)
class FillCrate:
    crate_id: CrateId
    content: int

    @property
    def touches(self) -> Sequence[CrateId]:
        return (self.crate_id,)

    @property
    def about(self) -> None:
        return None

    def decide(self, book: Book) -> Sequence[Change]:
        missing = self.content - book.get(self.crate_id).content
        return [(self.crate_id, StockAdjusted(missing, None))] if missing else []


KIND: Final = 99
CRATE: Final = CrateId(str(R1))
"""Its name is that of a reservation: the engine must tell them apart."""


@pytest.fixture(autouse=True)
def _registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(STREAMS, CrateId, Crate)
    monkeypatch.setitem(ids.KIND_OF_KEY, CrateId, KIND)
    monkeypatch.setitem(ids.NAME_OF_KIND, CrateId, "crate")
    monkeypatch.setitem(ids.KEY_OF_NAME, "crate", CrateId)
    monkeypatch.setitem(states_json._CLASS_OF_KIND, KIND, Crate)
    monkeypatch.setitem(states_json._KIND_OF_CLASS, Crate, KIND)


def _differences(path: Path) -> list[str]:
    return list(verify(Database(path), lambda _: None))


async def _live(path: Path) -> None:
    async with opened(path) as shop:
        await shop.answers(
            shop.ask(add(5), "add"),
            shop.ask(FillCrate(CRATE, 3), "fill"),
            shop.ask(reserve(2)),
            shop.ask(FillCrate(CRATE, 7)),
            shop.ask(commit(1)),
        )


async def test_it_is_folded_from_its_events_when_the_file_is_opened_again(path: Path) -> None:
    await _live(path)
    async with opened(path) as shop:
        assert await shop.levels() == Levels(4, 1)
        outcome = await shop.record(FillCrate(CRATE, 9))
        assert outcome == Outcome(6, [Crate(CRATE, 9, 3)], [])
    assert _differences(path) == []


async def test_its_answers_are_given_again(path: Path) -> None:
    await _live(path)
    for _ in range(2):
        async with opened(path) as shop:
            again = await shop.record(FillCrate(CRATE, 3), "fill")
            assert again == Outcome(2, [Crate(CRATE, 3, 1)], [], replayed=True)
            unchanged = await shop.record(FillCrate(CRATE, 7), "as it is")
            assert unchanged[:3] == (5, [Crate(CRATE, 7, 2)], [])
    assert unchanged.replayed


async def test_it_is_read_now_and_as_it_was(path: Path) -> None:
    await _live(path)
    async with opened(path) as shop:
        queries = shop.parts.queries
        assert await queries.latest().get(CRATE) == Reading(Crate(CRATE, 7, 2), 5)
        assert (await queries.latest().get(CrateId("none"))).value is None
        states = [await (await queries.at_position(at)).get(CRATE) for at in (1, 2, 4)]
        assert [state.value for state in states] == [None, Crate(CRATE, 3, 1), Crate(CRATE, 7, 2)]


async def test_its_events_name_it_and_no_stock(path: Path) -> None:
    await _live(path)
    ours = [event for event in events(path) if event.subject]
    assert {event.subject for event in ours} == {"crate/r1"}
    assert [event.version for event in ours] == [1, 2]
    assert not any(e.product_id or e.store_id or e.HasField("after") for e in ours)


async def test_the_tables_are_made_again_from_its_events(path: Path) -> None:
    await _live(path)
    with closing(Database(path).writer()) as connection:
        rebuild(connection, 5, lambda _: None)
    assert _differences(path) == []


async def test_an_event_that_does_not_follow_is_found(path: Path) -> None:
    await _live(path)
    change(path, "UPDATE events SET version = 5 WHERE position = 4")
    assert "event 4: is not the next one of r1" in _differences(path)


async def test_a_release_that_knows_it_raises_the_format(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await _live(path)
    before = stored(path)
    monkeypatch.setattr(schema, "FORMAT", schema.FORMAT + 1)
    async with opened(path) as shop:
        await shop.record(FillCrate(CRATE, 9))
    assert stored(path)[:-1] == before
    assert _differences(path) == []
    monkeypatch.undo()
    with pytest.raises(NotOurs, match="use a newer inventory-grpc"):
        schema.check_header(path)


async def test_a_program_that_does_not_know_it_says_so(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await _live(path)
    monkeypatch.delitem(ids.KEY_OF_NAME, "crate")
    with pytest.raises(UnknownFact, match="event 2 is of crate/r1"):
        decode(stored(path)[1])


def test_nothing_of_its_event_stays_in_the_next() -> None:
    def event(position: int, key: object, after: Levels | None, fact: Fact) -> Event:
        return Event(position, position, key, 1, NOON, Cause(), fact, after)

    some = [
        event(1, KETTLES, Levels(5, 2), StockAdded(5)),
        event(2, CRATE, None, StockAdjusted(3, None)),
        event(3, CrateId("x"), None, StockAdjusted(3, None)),
        event(4, KETTLES, Levels(3, 2), StockAdjusted(-2, 3)),
    ]
    written = list(encoded("log", some))
    assert written == [next(encoded("log", [one])) for one in some]
    assert [decode(data) for data in written] == some
    assert pb.Event.FromString(written[3]).HasField("after")


def test_a_caller_with_only_some_stores_does_not_cover_it() -> None:
    assert Scope().covers([CRATE])
    assert not Scope(frozenset({StoreId("lisbon")})).covers([KETTLES, CRATE])
