"""An atomic batch is decided as a whole, on the states that its own commands make."""

import pytest

from inventory_grpc.application.failures import WritesRefused
from inventory_grpc.application.ledger import expiry
from inventory_grpc.application.outcomes import DryRun, Outcome
from inventory_grpc.domain.product import PutProduct
from inventory_grpc.domain.refusals import CommandTooLarge, InsufficientStock
from inventory_grpc.domain.reservation_facts import ReservationExpired
from inventory_grpc.domain.values import Never, ProductId, Span, Ttl
from inventory_grpc.infrastructure.log.states_json import dump_outcome, load_outcome
from tests.support.clock import ManualClock
from tests.support.histories import Player, player
from tests.support.scribe import events_of
from tests.support.stores import Store, in_memory
from tests.support.world import KETTLES, MINUTE, TOASTERS, add, extend, remove, reserve, stock


async def with_overdue_holds(store: Store, clock: ManualClock) -> Player:
    """Return a writer on five kettles and five toasters, all of them held and overdue."""
    writer = player(store, clock)
    await writer.play(add(5), add(5, TOASTERS))
    for number in range(5):
        soon = Ttl(Span(MINUTE))
        await writer.play(reserve({KETTLES: 1, TOASTERS: 1}, f"old-{number}", expiration=soon))
    clock.go_on(2 * MINUTE)
    return writer


async def test_overdue_holds_on_all_of_its_stocks_expire_first() -> None:
    store, clock = in_memory(), ManualClock()
    writer = await with_overdue_holds(store, clock)
    known = PutProduct(ProductId("kettle"), "K-1", "Kettle", {})
    done = await writer.play_together(
        reserve({KETTLES: 3}, "r1"), known, remove(2), remove(1, TOASTERS)
    )
    assert isinstance(done, Outcome)
    events = (await events_of(store))[12:]
    assert [type(event.fact) for event in events[:10]] == [ReservationExpired] * 10
    assert {event.command_position for event in events[10:]} == {23}
    assert [event.cause.part for event in events[10:]] == [1, 2, 3, 4]


async def test_it_is_decided_once_more_and_then_refused() -> None:
    store, clock = in_memory(), ManualClock()
    writer = await with_overdue_holds(store, clock)
    refused = await writer.play_together(reserve({KETTLES: 3}, "r1"), remove(3))
    assert isinstance(refused, InsufficientStock)
    assert refused.command_index == 1
    events = (await events_of(store))[12:]
    assert {type(event.fact) for event in events} == {ReservationExpired}


async def test_more_overdue_holds_than_one_step_ends_are_to_be_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(expiry, "MAX_EXPIRED", 2)
    store, clock = in_memory(), ManualClock()
    writer = await with_overdue_holds(store, clock)
    asked = reserve({KETTLES: 3}, "r1"), remove(2)
    assert isinstance(await writer.play_together(*asked), WritesRefused)
    assert isinstance(await writer.play_together(*asked), WritesRefused)
    assert isinstance(await writer.play_together(*asked), Outcome)


async def test_its_events_are_those_of_one_command() -> None:
    writer = player(in_memory(), ManualClock())
    many = reserve({KETTLES: 1}, "r1")
    refused = await writer.play_together(add(9), many, *[add(1)] * 499)
    assert isinstance(refused, CommandTooLarge)
    assert refused.facts() == {"events": "501", "limit": "500"}
    assert isinstance(await writer.play_together(add(9), many, *[add(1)] * 498), Outcome)


async def test_other_commands_of_the_transaction_see_all_of_it_or_nothing() -> None:
    store = in_memory()
    writer = player(store, ManualClock())
    await writer.play_together(add(5), remove(6))
    await writer.play(add(1))
    assert [event.position for event in await events_of(store)] == [1]


async def test_a_dry_run_of_it_leaves_nothing() -> None:
    store = in_memory()
    writer = player(store, ManualClock())
    tried = await writer.play_together(add(5), remove(2), is_dry=True)
    assert isinstance(tried, DryRun)
    assert [part.version for part in tried.parts] == [1, 2]
    assert await events_of(store) == []


async def test_what_expires_does_not_depend_on_what_had_to_be_read() -> None:
    for at_hand in (100, 1):
        store, clock = in_memory(), ManualClock()
        writer = player(store, clock, at_hand=at_hand)
        await writer.play(add(5), add(5, TOASTERS))
        for stock_id in (TOASTERS, KETTLES):
            soon = Ttl(Span(MINUTE))
            await writer.play(reserve({stock_id: 5}, stock_id.product_id, expiration=soon))
        clock.go_on(2 * MINUTE)
        done = await writer.play_together(remove(1), add(1, TOASTERS))
        assert isinstance(done, Outcome)
        expired = [event.fact for event in (await events_of(store))[4:6]]
        assert [type(fact) for fact in expired] == [ReservationExpired] * 2


async def with_a_large_reservation(lines: int) -> Player:
    """Return a writer on a reservation of one unit of each of many products."""
    writer = player(in_memory(), ManualClock(), at_hand=lines)
    stocks = [stock(f"p{number}", "lisbon") for number in range(lines)]
    await writer.play(*(add(1, stock_id) for stock_id in stocks))
    await writer.play(reserve(dict.fromkeys(stocks, 1), "r1", expiration=Never()))
    return writer


async def test_its_answer_is_small_however_large_the_reservation_is() -> None:
    writer = await with_a_large_reservation(50)
    done = await writer.play_together(*[extend(Never())] * 200, request_id="batch-1")
    assert isinstance(done, Outcome)
    assert len(dump_outcome(done)) < 200 * 20
    assert load_outcome(dump_outcome(done)) == done
    again = await writer.play_together(*[extend(Never())] * 200, request_id="batch-1")
    assert again == done._replace(replayed=True)


async def test_it_ends_at_the_command_with_which_it_is_too_large() -> None:
    writer = await with_a_large_reservation(300)
    later = [extend(Ttl(Span(minutes * MINUTE))) for minutes in range(1, 9)]
    refused = await writer.play_together(*later)
    assert isinstance(refused, CommandTooLarge)
    assert refused.facts()["events"] == "600"
