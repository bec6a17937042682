"""Several ledgers on one log, as in several processes, behave as one."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest

from inventory_grpc.application.ledger import driver
from inventory_grpc.application.ports import Fault, StorageError
from inventory_grpc.domain.event import Event, Key
from inventory_grpc.domain.levels import Levels
from inventory_grpc.domain.refusals import InsufficientStock
from tests.support.clock import ManualClock
from tests.support.engine import Engine, assemble, running, settle
from tests.support.history import Faulty
from tests.support.memory.store import MemoryTransaction
from tests.support.model import Model
from tests.support.scribe import events_of
from tests.support.stores import in_memory
from tests.support.world import (
    KETTLES,
    MINUTE,
    NOON,
    SECOND,
    TOASTERS,
    add,
    commit,
    later,
    release,
    remove,
    reserve,
)


@pytest.fixture
async def both() -> AsyncIterator[tuple[Engine, Engine]]:
    one = assemble(in_memory())
    other = assemble(one.store, one.clock)
    async with running(one), running(other):
        await settle()
        yield one, other


async def test_each_decides_on_what_the_other_has_recorded(both: tuple[Engine, Engine]) -> None:
    one, other = both
    await one.record(add(5))
    await other.record(reserve(3))
    with pytest.raises(InsufficientStock):
        await one.record(reserve(3, "r2"))
    await one.record(commit({KETTLES: 1}))
    outcome = await other.record(release())
    assert outcome.streams[0].levels == Levels(4, 0)
    assert outcome.streams[0].version == 4
    Model(await one.log())


async def test_a_request_is_done_once_whichever_of_them_it_is_sent_to(
    both: tuple[Engine, Engine],
) -> None:
    one, other = both
    answers = await asyncio.gather(
        *(engine.ask(add(5), "one") for engine in (one, other) for _ in range(5))
    )
    assert sorted(answer.replayed for answer in answers) == [False] + [True] * 9
    assert len(await one.log()) == 1


async def test_of_many_who_want_the_last_units_exactly_as_many_get_them(
    both: tuple[Engine, Engine],
) -> None:
    await both[0].record(add(10))
    asked = [both[n % 2].ask(reserve(1, f"r{n}")) for n in range(60)]
    answers = await asyncio.gather(*asked, return_exceptions=True)
    assert sum(isinstance(answer, InsufficientStock) for answer in answers) == 50
    assert Model(await both[0].log()).shelves[KETTLES].reserved == 10


async def test_what_one_records_the_other_shows_as_soon_as_it_looks(
    both: tuple[Engine, Engine],
) -> None:
    one, other = both
    await one.record(add(5))
    await other.record(add(1, TOASTERS))
    assert (await other.queries.latest().get(KETTLES)).value.levels == Levels(5, 0)
    await one.record(remove(2))
    other.ledger.follow()
    await settle()
    assert other.head.position == 3
    assert (await other.queries.latest().get(KETTLES)) == (await one.queries.latest(3).get(KETTLES))


async def test_a_read_that_names_a_position_waits_for_nobody(both: tuple[Engine, Engine]) -> None:
    one, other = both
    await one.record(add(5))
    assert (await other.queries.latest(1).get(KETTLES)).value.levels == Levels(5, 0)
    await one.record(remove(2))
    assert (await other.queries.latest(2).get(KETTLES)).value.levels == Levels(3, 0)


class Hearing:
    """A listener that records the streams whose events it hears of."""

    def __init__(self, heard: list[Key]) -> None:
        self._heard = heard

    def recorded(self, events: Sequence[Event]) -> None:
        self._heard += [event.key for event in events]

    def recorded_elsewhere(self, streams: Sequence[Key]) -> None:
        self._heard += streams

    def skipped(self, upto: int) -> None:
        raise AssertionError(f"events up to {upto} are missing")


async def test_the_bus_tells_each_of_everything_once_in_order(both: tuple[Engine, Engine]) -> None:
    told: list[list[Key]] = [[], []]
    for engine, heard in zip(both, told, strict=True):
        engine.bus.subscribe(Hearing(heard))
    for n in range(20):
        await both[n // 3 % 2].record(add(1, KETTLES if n % 5 else TOASTERS))
    for engine in both:
        engine.ledger.follow()
    await settle()
    assert told == [[event.key for event in await events_of(both[0].store)]] * 2


class _Noting:
    """A listener that records the events it receives, and the positions of gaps."""

    def __init__(self, told: list[Event | Key | int]) -> None:
        self._told = told

    def recorded(self, events: Sequence[Event]) -> None:
        self._told += events

    def recorded_elsewhere(self, streams: Sequence[Key]) -> None:
        self._told += streams

    def skipped(self, upto: int) -> None:
        self._told.append(upto)


async def test_one_that_is_far_behind_starts_anew(
    both: tuple[Engine, Engine], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = both
    await other.record(add(5))
    await other.record(add(5, TOASTERS))
    for stock_id in (KETTLES, TOASTERS):
        assert (await other.queries.latest().get(stock_id)).value.levels == Levels(5, 0)
    monkeypatch.setattr(driver, "MAX_BEHIND", 10)
    told: list[Event | Key | int] = []
    other.bus.subscribe(_Noting(told))
    for _ in range(8):
        await one.record(add(1))
        await one.record(add(1, TOASTERS))
    outcome = await other.record(remove(1))
    assert outcome.streams[0].levels == Levels(12, 0)
    assert (await other.queries.latest().get(KETTLES)).value.levels == Levels(12, 0)
    assert (await other.queries.latest().get(TOASTERS)).value.levels == Levels(13, 0)
    assert other.head.position == 19
    assert told == [18, (await events_of(one.store))[-1]]


async def test_what_others_recorded_is_not_lost_with_a_transaction_that_failed(
    both: tuple[Engine, Engine],
) -> None:
    one, other = both
    await other.record(add(5))
    assert (await other.queries.latest().get(KETTLES)).value.levels == Levels(5, 0)
    await one.record(remove(2))
    with pytest.raises(Exception, match="internal"):
        await other.record(Faulty())
    other.ledger.follow()
    await settle()
    assert other.head.position == 2
    assert (await other.queries.latest().get(KETTLES)).value.levels == Levels(3, 0)
    assert (await other.record(remove(1))).streams[0].levels == Levels(2, 0)


async def test_what_others_recorded_is_not_lost_with_a_look_that_failed(
    both: tuple[Engine, Engine], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = both
    await other.record(add(5))
    assert (await other.queries.latest().get(KETTLES)).value.levels == Levels(5, 0)
    await one.record(remove(2))
    troubles = [StorageError(Fault.BUSY)]
    original = MemoryTransaction.pending

    def pending(self: MemoryTransaction) -> object:
        # the second time it is asked is when the events have been looked at
        troubles.append(StorageError(Fault.BUSY))
        if len(troubles) == 3:
            raise troubles[0]
        return original(self)

    with monkeypatch.context() as patched:
        patched.setattr(MemoryTransaction, "pending", pending)
        other.ledger.follow()
        await settle()
    other.ledger.follow()
    await settle()
    await one.record(add(1, TOASTERS))
    other.ledger.follow()
    await settle()
    assert other.head.position == 3
    reading = await other.queries.latest().get(KETTLES)
    assert reading.as_of == 3
    assert reading.value.levels == Levels(3, 0)


async def test_times_in_the_log_never_go_back_however_the_clocks_differ() -> None:
    ahead = assemble(in_memory(), ManualClock(later(10 * MINUTE)))
    behind = assemble(ahead.store, ManualClock(NOON))
    async with running(ahead), running(behind):
        for _ in range(3):
            await ahead.record(add(1))
            behind.clock.go_on(SECOND)
            await behind.record(add(1))
    times = [event.record_time for event in await events_of(ahead.store)]
    assert times == sorted(times)
    assert times[0] == later(10 * MINUTE)
    assert times[-1] >= times[0] + 2 * SECOND, "time goes on from there at its own pace"


async def test_states_of_which_few_are_at_hand_are_folded_again_from_the_log() -> None:
    small = assemble(in_memory(), max_states=2)
    other = assemble(small.store, small.clock)
    async with running(small), running(other):
        for n in range(30):
            engine = (small, other)[n % 2]
            await engine.record(add(3))
            await engine.record(add(3, TOASTERS))
            await engine.record(reserve({KETTLES: 1, TOASTERS: 1}, f"r{n}"))
            await (other, small)[n % 2].record(commit({TOASTERS: 1}, f"r{n}"))
            await engine.record(release(name=f"r{n}") if n % 3 else add(1))
    Model(await small.log())
