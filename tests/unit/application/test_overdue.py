"""Overdue reservations take no stock, whether or not their expiry is recorded yet."""

import pytest

from inventory_grpc.application.failures import WritesRefused
from inventory_grpc.application.ledger import expiry
from inventory_grpc.application.ledger.submission import Submission
from inventory_grpc.application.outcomes import Outcome
from inventory_grpc.domain.book import Command
from inventory_grpc.domain.levels import FenceUnits, Levels
from inventory_grpc.domain.promises import Asked
from inventory_grpc.domain.refusals import InsufficientStock, Refusal, ReservationClosed
from inventory_grpc.domain.reservation import ReservationState
from inventory_grpc.domain.reservation_facts import ReservationExpired
from inventory_grpc.domain.values import Never, ReservationId, Until
from tests.support.clock import ManualClock
from tests.support.history import appending, doing, expired_in
from tests.support.scribe import events_of
from tests.support.stores import Store, in_memory
from tests.support.world import (
    HALF_AN_HOUR,
    KETTLES,
    MINUTE,
    PORTO_KETTLES,
    R1,
    TOASTERS,
    VIP,
    add,
    amend,
    commit,
    count,
    extend,
    fence,
    later,
    release,
    remove,
    reserve,
)


class Shop:
    """A store in which a batch holds one command, and no hold expires in between."""

    def __init__(self) -> None:
        self.store: Store = in_memory()
        self.clock = ManualClock()

    async def past(self, *commands: Command) -> None:
        await self.store.storage.transact(appending(*commands, clock=self.clock))

    async def do(self, command: Command) -> Outcome:
        """Do *command*; what had to expire for it is recorded also where it is refused."""
        asked = [Submission.of(command)]
        work = doing(lambda batch: batch.answer_all(asked), self.clock)
        [answer] = (await self.store.storage.transact(work)).answers
        if isinstance(answer, Refusal):
            raise answer
        return answer

    async def expired(self) -> list[ReservationId]:
        return expired_in(await events_of(self.store))


@pytest.fixture
def shop() -> Shop:
    return Shop()


async def overdue(shop: Shop, *units: int) -> None:
    """Have ten kettles, and so many of them held for too long, the first for the longest."""
    holds = (
        reserve(held, f"r{number}", expiration=Until(later((10 + number) * MINUTE)))
        for number, held in enumerate(units)
    )
    await shop.past(add(10), add(10, TOASTERS), *holds)
    shop.clock.go_on(60 * MINUTE)


async def test_no_reserve_is_refused_for_holds_that_are_over(shop: Shop) -> None:
    await overdue(shop, 4, 4, 2)
    outcome = await shop.do(reserve(10, "new"))
    assert outcome.streams[0].levels == Levels(10, 10)
    assert await shop.expired() == ["r0", "r1", "r2"]


async def test_no_removal_is_refused_for_holds_that_are_over(shop: Shop) -> None:
    await overdue(shop, 4, 4, 2)
    await shop.do(remove(8))
    assert await shop.expired() == ["r0", "r1"]


async def test_no_fence_is_refused_for_holds_that_are_over(shop: Shop) -> None:
    await overdue(shop, 4, 4, 2)
    outcome = await shop.do(fence(5))
    assert outcome.streams[0].levels.fences == (FenceUnits(VIP, 5),)
    assert await shop.expired() == ["r0", "r1"]


async def test_a_fence_is_taken_back_with_what_overdue_holds_took_out_of_it(shop: Shop) -> None:
    await shop.past(
        add(10),
        fence(4),
        reserve(1, "public"),
        reserve(3, "vip", asked=Asked(VIP)),
    )
    shop.clock.go_on(60 * MINUTE)
    outcome = await shop.do(fence(-4))
    assert outcome.streams[0].levels == Levels(10, 0)
    assert await shop.expired() == ["public", "vip"]


async def test_a_channel_that_finds_enough_in_its_fence_lets_nothing_go(shop: Shop) -> None:
    await shop.past(add(10), fence(4), reserve(6))
    shop.clock.go_on(60 * MINUTE)
    await shop.do(reserve(4, "vip", asked=Asked(VIP)))
    assert await shop.expired() == []
    await shop.do(remove(1, channel=VIP))
    assert await shop.expired() == ["r1"]


async def test_no_more_is_let_go_of_than_is_needed_oldest_first(shop: Shop) -> None:
    await overdue(shop, 4, 4, 2)
    await shop.do(reserve(4, "new"))
    assert await shop.expired() == ["r0"]


async def test_nothing_is_let_go_of_for_a_command_that_needs_nothing(shop: Shop) -> None:
    await overdue(shop, 4, 4)
    await shop.do(reserve(2, "new"))
    await shop.do(add(1))
    await shop.do(count(1, expected=5))
    assert await shop.expired() == []


async def test_holds_of_other_stocks_are_not_let_go_of(shop: Shop) -> None:
    await shop.past(add(1), add(1, TOASTERS), reserve(1), reserve({TOASTERS: 1}, "t"))
    shop.clock.go_on(60 * MINUTE)
    await shop.do(reserve({TOASTERS: 1}, "new"))
    assert await shop.expired() == ["t"]


async def test_holds_that_are_not_over_are_not_let_go_of(shop: Shop) -> None:
    await shop.past(add(10), reserve(4, "forever", expiration=Never()), reserve(4, "over"))
    shop.clock.go_on(30 * MINUTE)
    with pytest.raises(InsufficientStock) as refused:
        await shop.do(reserve(7, "new"))
    assert [line.available for line in refused.value.lines] == [6]
    assert await shop.expired() == ["over"]


async def test_a_cart_that_is_short_of_several_stocks_gets_them_all_freed(shop: Shop) -> None:
    await shop.past(
        add(3),
        add(3, TOASTERS),
        add(1, PORTO_KETTLES),
        reserve({KETTLES: 3}, "k"),
        reserve({TOASTERS: 3, PORTO_KETTLES: 1}, "both"),
    )
    shop.clock.go_on(60 * MINUTE)
    await shop.do(reserve({KETTLES: 3, TOASTERS: 3, PORTO_KETTLES: 1}, "new"))
    assert await shop.expired() == ["k", "both"]


async def test_a_step_that_did_not_free_enough_asks_to_come_again_and_then_it_works(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(expiry, "MAX_EXPIRED", 2)
    await overdue(shop, 2, 2, 2, 2, 2)
    for _ in range(2):
        with pytest.raises(WritesRefused) as refused:
            await shop.do(reserve(10, "new"))
        assert refused.value.retry_seconds > 0
    await shop.do(reserve(10, "new"))
    assert await shop.expired() == ["r0", "r1", "r2", "r3", "r4"]


async def test_a_step_that_freed_just_enough_is_enough(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(expiry, "MAX_EXPIRED", 2)
    await overdue(shop, 5, 5)
    await shop.do(reserve(10, "new"))


async def test_wide_carts_end_a_step_earlier(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(expiry, "MAX_EXPIRED_EVENTS", 3)
    both = {KETTLES: 1, TOASTERS: 1}
    await shop.past(add(3), add(3, TOASTERS), *(reserve(both, f"r{n}") for n in range(3)))
    shop.clock.go_on(60 * MINUTE)
    with pytest.raises(WritesRefused):
        await shop.do(reserve(3, "new"))
    assert await shop.expired() == ["r0", "r1"]


async def test_one_that_is_named_is_let_go_of_first(shop: Shop) -> None:
    await shop.past(add(5), reserve(2))
    shop.clock.go_on(30 * MINUTE)
    for command in (commit(), commit(1), release(1), extend(HALF_AN_HOUR), reserve(2)):
        with pytest.raises(ReservationClosed) as refused:
            await shop.do(command)
        assert refused.value.state is ReservationState.EXPIRED
    assert await shop.expired() == ["r1"]


async def test_just_before_its_time_it_can_still_be_committed_and_extended(shop: Shop) -> None:
    await shop.past(add(5), reserve(1), reserve(1, "r2"))
    shop.clock.go_on(30 * MINUTE - 1)
    await shop.do(commit())
    await shop.do(extend(HALF_AN_HOUR, "r2"))
    assert await shop.expired() == []


async def test_releasing_what_is_over_succeeds_and_records_only_the_expiry(shop: Shop) -> None:
    await shop.past(add(5), reserve(2))
    shop.clock.go_on(31 * MINUTE)
    outcome = await shop.do(release())
    assert outcome.position == 3
    assert outcome.streams[0].levels == Levels(5, 0)
    assert outcome.subjects
    assert outcome.subjects[0].state is ReservationState.EXPIRED


async def test_an_expiry_is_a_command_of_its_own_over_all_lines_still_held(shop: Shop) -> None:
    await shop.past(
        add(5),
        add(5, TOASTERS),
        add(5, PORTO_KETTLES),
        reserve({KETTLES: 2, TOASTERS: 1, PORTO_KETTLES: 1}),
        commit({TOASTERS: 1}),
        release({KETTLES: 1}),
    )
    shop.clock.go_on(30 * MINUTE)
    with pytest.raises(ReservationClosed):
        await shop.do(commit())
    last = (await events_of(shop.store))[-2:]
    assert [(event.key, event.fact) for event in last] == [
        (KETTLES, ReservationExpired(R1, 1)),
        (PORTO_KETTLES, ReservationExpired(R1, 1)),
    ]
    assert {event.command_position for event in last} == {9}
    assert {event.cause.occur_time for event in last} == {later(30 * MINUTE)}
    assert {event.cause.request_id for event in last} == {""}


async def test_a_late_commit_finds_units_whose_expiry_is_not_recorded_yet() -> None:
    shop = Shop()
    await shop.past(add(5), reserve(3, expiration=HALF_AN_HOUR))
    shop.clock.go_on(31 * MINUTE)
    with pytest.raises(ReservationClosed):
        await shop.do(commit())
    shop = Shop()
    await shop.past(add(5), reserve(3, expiration=HALF_AN_HOUR))
    shop.clock.go_on(31 * MINUTE)
    outcome = await shop.do(commit(reacquire=True))
    assert outcome.streams[0].levels == Levels(2, 0)
    assert await shop.expired() == [R1]


async def test_a_late_commit_lets_the_overdue_holds_of_others_go() -> None:
    shop = Shop()
    await shop.past(add(5), reserve(3, expiration=HALF_AN_HOUR))
    shop.clock.go_on(31 * MINUTE)
    with pytest.raises(ReservationClosed):
        await shop.do(commit())
    await shop.past(reserve(4, "other", expiration=HALF_AN_HOUR))
    shop.clock.go_on(31 * MINUTE)
    outcome = await shop.do(commit(reacquire=True))
    assert outcome.streams[0].levels == Levels(2, 0)
    assert await shop.expired() == [R1, "other"]


async def test_an_amendment_of_what_is_overdue_is_too_late() -> None:
    shop = Shop()
    await shop.past(add(5), reserve(3, expiration=HALF_AN_HOUR))
    shop.clock.go_on(31 * MINUTE)
    with pytest.raises(ReservationClosed) as closed:
        await shop.do(amend(2))
    assert closed.value.state is ReservationState.EXPIRED


async def test_an_amendment_lets_the_overdue_holds_of_others_go() -> None:
    shop = Shop()
    await shop.past(add(5), reserve(3, "other", expiration=HALF_AN_HOUR))
    await shop.past(reserve(2, expiration=Never()))
    shop.clock.go_on(31 * MINUTE)
    await shop.do(amend(1))
    assert await shop.expired() == []
    outcome = await shop.do(amend(5))
    assert outcome.streams[0].levels == Levels(5, 5)
    assert await shop.expired() == ["other"]
