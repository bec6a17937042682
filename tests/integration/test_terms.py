"""Commands are decided on the terms in force, which are recorded before their events."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import pytest

from inventory_grpc.application.ledger import terms, workbook
from inventory_grpc.application.ledger.atomic import AtomicBatch, Part
from inventory_grpc.application.outcomes import Outcome
from inventory_grpc.domain.book import Command
from inventory_grpc.domain.event import Cause
from inventory_grpc.domain.levels import Levels
from inventory_grpc.domain.refusals import InsufficientStock, VersionConflict
from inventory_grpc.domain.values import StockId
from inventory_grpc_protos.v1.events_pb2 import Event
from tests.support.engines import on_each_engine
from tests.support.opened import Opened, differences, events, opened, rows
from tests.support.waiting import eventually
from tests.support.world import (
    KETTLES,
    PORTO_KETTLES,
    TOASTERS,
    add,
    commit,
    count,
    policy,
    release,
    remove,
    reserve,
    stock,
)

pytestmark = on_each_engine

UNSETTLED: Final = "SELECT kind, name FROM unsettled ORDER BY since"


def told(database: str | Path, stock_id: StockId = KETTLES) -> list[str]:
    """Return the facts of a stock, each with the units that are available after it."""
    return [
        f"{event.WhichOneof('fact')} {event.after.available}"
        for event in events(database)
        if (event.product_id, event.store_id) == stock_id
    ]


def terms_events(database: str | Path) -> list[Event]:
    return [event for event in events(database) if event.HasField("stock_terms_changed")]


def together(*commands: Command) -> AtomicBatch:
    parts = enumerate(commands, start=1)
    return AtomicBatch([Part(command, Cause(part=number)) for number, command in parts])


@pytest.fixture
def _without_walks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have no stock be reached by a walk, so that only commands record terms."""
    monkeypatch.setattr(terms, "MAX_RECORDED", 0)


@pytest.fixture
async def shop(database: str | Path) -> AsyncIterator[Opened]:
    """Open a shop on a database that is found to be whole at the end."""
    async with opened(database) as shop:
        yield shop
    assert differences(database) == []


async def settle(shop: Opened) -> None:
    await eventually(lambda: not rows(shop.database, UNSETTLED))


async def test_a_stock_without_history_gets_its_terms_before_its_first_event(
    shop: Opened,
) -> None:
    await shop.record(policy(safety_stock=1))
    with pytest.raises(InsufficientStock):
        await shop.record(reserve(1))
    assert told(shop.database) == []
    outcome = await shop.record(add(5, expected=0))
    assert outcome.streams[0].version == 2
    assert told(shop.database) == ["stock_terms_changed 0", "stock_added 4"]
    first, second = events(shop.database)[-2:]
    assert (list(first.alerts), first.subject, list(second.alerts)) == ([], "", [4])
    assert (first.command_position, second.command_position) == (2, 3)


@pytest.mark.usefixtures("_without_walks")
async def test_a_command_is_decided_on_the_terms_in_force_before_the_stock_is_reached(
    shop: Opened,
) -> None:
    for _ in range(3):
        await shop.record(add(1))
    await shop.record(add(2))
    await shop.record(policy(None, "lisbon", safety_stock=2))
    assert await shop.levels() == Levels(5, 0)
    with pytest.raises(InsufficientStock, match="4 requested, 3 available"):
        await shop.record(reserve(4))
    outcome = await shop.record(reserve(3), "q")
    assert outcome.streams[0].version == 6
    assert told(shop.database)[-2:] == ["stock_terms_changed 3", "stock_reserved 0"]
    again = await shop.record(reserve(3), "q")
    assert (again.position, again.streams[0].levels) == (7, outcome.streams[0].levels.shown)


@pytest.mark.usefixtures("_without_walks")
async def test_the_expected_version_is_that_before_the_terms(shop: Opened) -> None:
    for _ in range(4):
        await shop.record(add(1))
    await shop.record(policy(None, "lisbon", safety_stock=2))
    outcome = await shop.record(add(1, expected=4))
    assert (outcome.streams[0].version, outcome.streams[0].available) == (6, 3)


@pytest.mark.usefixtures("_without_walks")
async def test_a_conflict_shows_the_stock_as_a_query_does(shop: Opened) -> None:
    await shop.record(add(4))
    await shop.record(policy(None, "lisbon", safety_stock=2))
    shown = (await shop.parts.queries.latest().get(KETTLES)).value
    for command in (add(1, expected=0), count(3, expected_on_hand=5)):
        with pytest.raises(VersionConflict) as refused:
            await shop.record(command)
        assert refused.value.current == shown


@pytest.mark.usefixtures("_without_walks")
async def test_commands_of_the_same_transaction_follow_a_policy(shop: Opened) -> None:
    await shop.record(add(5))
    answers = await shop.answers(
        shop.ask(reserve(2, "r1")),
        shop.ask(policy("kettle", safety_stock=2)),
        shop.ask(reserve(2, "r2")),
        shop.ask(reserve(1, "r3")),
        shop.ask(release(0, "r1")),
    )
    assert [isinstance(answer, Outcome) for answer in answers] == [True, True, False, True, True]
    assert told(shop.database) == [
        "stock_added 5",
        "stock_reserved 3",
        "stock_terms_changed 1",
        "stock_reserved 0",
        "reservation_released 2",
    ]


@pytest.mark.usefixtures("_without_walks")
async def test_a_reservation_gets_the_terms_of_its_own_stocks_alone(shop: Opened) -> None:
    for key in (KETTLES, TOASTERS, PORTO_KETTLES):
        await shop.record(add(5, key))
    await shop.record(reserve({KETTLES: 2, TOASTERS: 2}))
    await shop.record(policy(safety_stock=1))
    await shop.record(commit({KETTLES: 2}))
    assert told(shop.database)[-2:] == ["stock_terms_changed 2", "reservation_committed 2"]
    assert (told(shop.database, TOASTERS)[-1], len(terms_events(shop.database))) == (
        "stock_reserved 3",
        1,
    )


@pytest.mark.usefixtures("_without_walks")
async def test_the_terms_come_before_a_whole_atomic_batch(shop: Opened) -> None:
    await shop.record(add(5))
    await shop.record(policy(safety_stock=1))
    batch = together(add(1, TOASTERS), reserve(4), reserve({TOASTERS: 1}, "r2"))
    before = len(events(shop.database))
    with pytest.raises(InsufficientStock, match="toaster"):
        await shop.record(batch)  # type: ignore[arg-type]
    assert len(events(shop.database)) == before
    await shop.record(together(add(2, TOASTERS), reserve(4), reserve({TOASTERS: 1}, "r2")))  # type: ignore[arg-type]
    recorded = events(shop.database)[before:]
    assert [(event.WhichOneof("fact"), event.part) for event in recorded] == [
        ("stock_terms_changed", 0),
        ("stock_terms_changed", 0),
        ("stock_added", 1),
        ("stock_reserved", 2),
        ("stock_reserved", 3),
    ]
    assert [event.version for event in recorded] == [1, 2, 2, 3, 3]


async def test_a_new_stock_of_an_atomic_batch_has_its_terms_in_all_of_its_parts(
    shop: Opened,
) -> None:
    await shop.record(policy(safety_stock=1))
    await settle(shop)
    with pytest.raises(InsufficientStock, match="2 requested, 1 available"):
        await shop.record(together(add(2), reserve(2)))  # type: ignore[arg-type]
    await shop.record(together(add(2), reserve(1)))  # type: ignore[arg-type]
    assert told(shop.database) == ["stock_terms_changed 0", "stock_added 1", "stock_reserved 0"]


async def test_a_change_walks_to_the_stocks_that_it_changes(shop: Opened) -> None:
    for key in (KETTLES, TOASTERS, PORTO_KETTLES):
        await shop.record(add(5, key))
    await shop.record(policy("kettle", "porto", safety_stock=1))
    await settle(shop)
    await shop.record(policy("kettle", safety_stock=1, low_stock_at=4))
    await settle(shop)
    kettles, porto = [event for event in terms_events(shop.database) if event.position > 5]
    assert (kettles.subject, kettles.store_id) == ("policy/kettle@", "lisbon")
    assert (porto.subject, porto.store_id) == ("policy/kettle@", "porto")
    assert [list(event.alerts) for event in (kettles, porto)] == [[1], [1]]
    assert (await shop.levels(TOASTERS)) == Levels(5, 0)
    await shop.record(policy("kettle"))
    await settle(shop)
    assert (await shop.levels()).shown.available == 5


async def test_a_walk_looks_at_many_stocks_and_takes_several_steps(
    shop: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(terms, "MAX_RECORDED", 3)
    monkeypatch.setattr(workbook, "OWN_AT_ONCE", 2)
    stocks = [stock(f"p{number}", "lisbon") for number in range(10)]
    for key in stocks:
        await shop.record(add(5, key))
    await shop.record(policy(safety_stock=1))
    await settle(shop)
    walked = terms_events(shop.database)
    assert [event.product_id for event in walked] == [key.product_id for key in stocks]
    sizes = [len([e for e in walked if e.command_position == event.position]) for event in walked]
    assert max(sizes) == 2


async def test_a_policy_set_in_many_scopes_reaches_all_of_them(shop: Opened) -> None:
    stocks = [stock(f"p{number}", "lisbon") for number in range(300)]
    await shop.answers(*(shop.ask(add(5, key)) for key in stocks))
    await shop.answers(*(shop.ask(policy(*key, safety_stock=1)) for key in stocks))
    await settle(shop)
    assert [(await shop.levels(key)).shown.available for key in stocks] == [4] * 300


async def test_a_walk_goes_on_after_a_start(
    database: str | Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(terms, "MAX_RECORDED", 0)
        async with opened(database) as shop:
            await shop.record(add(5))
            await shop.record(policy(safety_stock=1))
    assert rows(database, UNSETTLED) == [(5, "@")]
    async with opened(database) as shop:
        await settle(shop)
        assert (await shop.levels()).shown.available == 4


async def test_without_policies_nothing_is_looked_up(
    shop: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    await shop.record(policy(safety_stock=1))
    await shop.record(policy())
    await settle(shop)
    monkeypatch.setattr(terms, "sources_of", None)
    await shop.record(add(5))
    await shop.record(remove(5))
    assert told(shop.database) == ["stock_added 5", "stock_removed 0"]
