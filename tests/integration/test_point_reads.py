"""Reads of single states in PostgreSQL: those that are asked for during a read are the next one."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import closing
from typing import Any

import psycopg
import pytest

from inventory_grpc.application.ports import Fault, Reading, StorageError
from inventory_grpc.application.queries.product import ProductByKey
from inventory_grpc.domain.event import Key
from inventory_grpc.domain.product import ProductKey
from inventory_grpc.domain.values import ProductId
from inventory_grpc.infrastructure.postgres import loop_wire
from inventory_grpc.infrastructure.postgres.events import HEAD
from inventory_grpc.infrastructure.postgres.loop_wire import LoopWire
from inventory_grpc.infrastructure.postgres.read_models import reservation_reads, stocks
from inventory_grpc.infrastructure.postgres.statement import Bound
from inventory_grpc.infrastructure.postgres.wire import Row
from tests.support import postgres
from tests.support.opened import Opened, opened
from tests.support.waiting import eventually
from tests.support.world import KETTLES, R1, TOASTERS, add, put, reserve, stock


@pytest.fixture
def url() -> Iterator[str]:
    with postgres.empty_schema() as url:
        yield url


@pytest.fixture
async def shop(url: str) -> AsyncIterator[Opened]:
    async with opened(url) as shop:
        yield shop


class Statements:
    """The statements for states; answers are held back from `hold` to `let_go`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.sent = 0
        self.answered = 0
        self._free = asyncio.Event()
        self._free.set()
        run = LoopWire.run

        async def held_back(wire: LoopWire, statements: Sequence[Bound]) -> Sequence[list[Row]]:
            if statements[0].statement is HEAD:  # the poll for events of others
                return await run(wire, statements)
            self.sent += 1
            results = await run(wire, statements)
            self.answered += 1
            await self._free.wait()
            return results

        monkeypatch.setattr(LoopWire, "run", held_back)

    def hold(self) -> None:
        self._free.clear()

    def let_go(self) -> None:
        self._free.set()


@pytest.fixture
async def statements(shop: Opened, monkeypatch: pytest.MonkeyPatch) -> Statements:  # noqa: ARG001  after its start
    return Statements(monkeypatch)


Ask = Callable[[Key], "asyncio.Task[Reading[Any]]"]


@pytest.fixture
def ask(shop: Opened) -> Ask:
    def ask(key: Key) -> "asyncio.Task[Reading[Any]]":
        return asyncio.ensure_future(shop.parts.queries.newest.get(key))

    return ask


async def test_states_asked_for_during_a_read_are_read_together(
    shop: Opened, statements: Statements, ask: Ask
) -> None:
    await shop.record(add(5))
    await shop.record(add(3, TOASTERS))
    nowhere = stock("kettle", "nowhere")
    statements.hold()
    first = ask(KETTLES)
    await eventually(lambda: statements.answered == 1)
    others = [ask(key) for key in [KETTLES, TOASTERS, nowhere] * 10]
    await asyncio.sleep(0.02)
    assert statements.sent == 1
    statements.let_go()
    readings = await asyncio.gather(first, *others)
    assert statements.sent == 2
    assert {reading.as_of for reading in readings} == {2}
    found = [reading.value and reading.value.levels.on_hand for reading in readings]
    assert found == [5, *([5, 3, None] * 10)]


async def test_a_state_is_never_answered_from_a_read_that_began_before_it_was_asked_for(
    shop: Opened, statements: Statements, ask: Ask
) -> None:
    await shop.record(add(5))
    statements.hold()
    early = ask(KETTLES)
    await eventually(lambda: statements.answered == 1)
    await shop.record(add(2))
    late = ask(KETTLES)
    statements.let_go()
    old, new = await early, await late
    assert (old.value.levels.on_hand, old.as_of) == (5, 1)
    assert (new.value.levels.on_hand, new.as_of) == (7, 2)


async def test_no_more_are_read_together_than_may_be(
    shop: Opened, statements: Statements, ask: Ask
) -> None:
    await shop.record(add(5))
    await asyncio.gather(*(ask(stock("kettle", f"{number}")) for number in range(130)))
    assert statements.sent == -(-130 // stocks.READ_TOGETHER)
    await asyncio.gather(*(ask(R1) for _ in range(reservation_reads.READ_TOGETHER + 1)))
    assert statements.sent == -(-130 // stocks.READ_TOGETHER) + 2


async def test_states_of_every_kind_are_read_in_the_order_of_the_first_of_their_kind(
    shop: Opened, statements: Statements, ask: Ask
) -> None:
    await shop.record(add(5))
    await shop.record(reserve(2))
    await shop.record(put())
    latest = shop.parts.queries.newest
    kettle = ProductKey(ProductId("kettle"))
    ended: list[str] = []

    def noting(name: str, asked: "asyncio.Future[Any]") -> "asyncio.Future[Any]":
        asked.add_done_callback(lambda _: ended.append(name))
        return asked

    readings = await asyncio.gather(
        noting("stock", ask(KETTLES)),
        noting("reservation", ask(R1)),
        noting("product", asyncio.ensure_future(latest.read(ProductByKey(kettle)))),
        noting("stock", ask(TOASTERS)),
    )
    assert ended == ["stock", "stock", "reservation", "product"]
    assert statements.sent == 3
    kettles, reservation, product, toasters = (reading.value for reading in readings)
    assert kettles.levels.reserved == 2
    assert reservation.holds() == {KETTLES: 2}
    assert product.entry.key == kettle
    assert toasters is None


async def test_a_caller_who_leaves_takes_no_answer_from_others(
    shop: Opened, statements: Statements, ask: Ask
) -> None:
    await shop.record(add(5))
    statements.hold()
    first = ask(KETTLES)
    await eventually(lambda: statements.answered == 1)
    leaving, staying, alone = ask(KETTLES), ask(KETTLES), ask(R1)
    await asyncio.sleep(0)
    for one in (first, leaving, alone):
        one.cancel()
    statements.let_go()
    assert (await staying).value.levels.on_hand == 5
    await asyncio.sleep(0.02)
    assert statements.sent == 2, "nobody waits for the reservation"


async def test_all_callers_of_a_lost_connection_are_told_and_the_next_ones_connect_again(
    shop: Opened, url: str, ask: Ask
) -> None:
    await shop.record(add(5))
    await ask(KETTLES)
    with closing(psycopg.connect(url, autocommit=True)) as connection:
        connection.execute("BEGIN")
        connection.execute("LOCK TABLE stocks IN ACCESS EXCLUSIVE MODE")
        asked = [ask(KETTLES) for _ in range(3)]
        blocked = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
        await eventually(lambda: connection.execute(blocked).fetchone() != (0,))
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
        )
        answers = await asyncio.gather(*asked, return_exceptions=True)
        connection.execute("ROLLBACK")
    for answer in answers:
        assert isinstance(answer, StorageError)
        assert answer.fault is Fault.BROKEN
    assert (await ask(KETTLES)).value.levels.on_hand == 5


async def test_a_read_without_an_answer_ends_in_time(
    shop: Opened, url: str, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    await shop.record(add(5))
    await ask(KETTLES)
    monkeypatch.setattr(loop_wire, "ANSWER_SECONDS", 0.1)
    with closing(psycopg.connect(url, autocommit=True)) as connection:
        connection.execute("BEGIN")
        connection.execute("LOCK TABLE stocks IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(StorageError, match="no answer in time"):
            await ask(KETTLES)
        connection.execute("ROLLBACK")
    monkeypatch.undo()
    assert (await ask(KETTLES)).value.levels.on_hand == 5


async def test_a_connection_that_ended_unused_is_replaced(shop: Opened, url: str, ask: Ask) -> None:
    await shop.record(add(5))
    await ask(KETTLES)
    on_loop = shop.parts.queries.newest._readers._on_loop  # type: ignore[attr-defined]
    with closing(psycopg.connect(url, autocommit=True)) as connection:
        process = on_loop._wire._pg.backend_pid
        connection.execute("SELECT pg_terminate_backend(%s)", (process,))
    await eventually(lambda: on_loop.is_closed)
    assert (await ask(KETTLES)).value.levels.on_hand == 5
