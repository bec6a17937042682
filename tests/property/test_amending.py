"""Laws of amending, of carts in part and of late commits, over random histories.

What each takes is told beforehand by the formulas of the contract. Before each of them all that is
overdue expires, so that the levels are those on which it is decided.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from random import Random
from typing import Final

from inventory_grpc.application.outcomes import Outcome
from inventory_grpc.application.queries.stock import StocksById
from inventory_grpc.domain.amending import AmendReservation
from inventory_grpc.domain.book import Command
from inventory_grpc.domain.levels import Levels
from inventory_grpc.domain.promises import Asked, Mode
from inventory_grpc.domain.refusals import InsufficientStock, Refusal, ReservationClosed
from inventory_grpc.domain.reservation import Reservation
from inventory_grpc.domain.reservation_commands import CommitReservation, ReserveStock
from inventory_grpc.domain.values import (
    Channel,
    Expiration,
    Never,
    ReservationId,
    Span,
    StockId,
    Ttl,
)
from tests.support.any_command import STOCKS
from tests.support.clock import ManualClock
from tests.support.effort import SEED, runs
from tests.support.engines import on_each_engine
from tests.support.histories import Player, assert_reached, in_a_new, player
from tests.support.scribe import events_of
from tests.support.stores import Store
from tests.support.terms import terms
from tests.support.world import (
    MINUTE,
    VIP,
    WEB,
    add,
    amend,
    change_by,
    commit,
    fence,
    release,
    reserve,
)

pytestmark = on_each_engine

NAMES: Final = [ReservationId(f"r{number}") for number in range(1, 5)]
LONGEST: Final = 40
"""Commands of a history."""


def chosen(chance: Random) -> Command:
    name, stock_id, units = chance.choice(NAMES), chance.choice(STOCKS), chance.randint(1, 5)
    wanted = {each: chance.randint(1, 6) for each in chance.sample(STOCKS, chance.randint(1, 3))}
    end: Expiration = Never() if chance.random() < 0.5 else Ttl(Span(MINUTE))
    channel = chance.choice([None, VIP, WEB])
    asked = Asked(channel, chance.random() < 0.3, chance.choice([*Mode]))
    commands: list[Command] = [
        add(units + 1, stock_id),
        change_by(chance.choice([-4, -2, 3]), stock_id),
        fence(chance.choice([-2, 2]), stock_id),
        terms(stock_id, limit=chance.choice([0, 6]), product_retired=chance.random() < 0.2),
        commit({stock_id: 1}, name),
        release({stock_id: 1}, name),
        *[reserve(wanted, f"new{chance.random()}", expiration=end, asked=asked)] * 2,
        *[reserve(wanted, name, expiration=end, asked=asked)] * 2,
        *[amend(wanted, name, in_stock_only=asked.in_stock_only)] * 5,
        *[commit({stock_id: units} if units < 4 else 0, name, reacquire=True)] * 3,
    ]
    return chance.choice(commands)


def had(levels: Levels, channel: Channel | None, *, in_stock_only: bool) -> int:
    """Return how many units more can be promised, by the formulas of the contract alone."""
    shown = levels.shown
    if shown.retired:
        return 0
    sellable = shown.on_hand - sum(units for _, units in shown.states)
    fenced = dict(shown.fences).get(channel, 0) if channel else 0
    spare = max(0, sellable - shown.ring_fenced - shown.safety_stock - shown.reserved)
    others = shown.ring_fenced - fenced
    free = max(0, sellable - (shown.reserved - shown.backordered) - others)
    return min(spare + fenced, free) + (0 if in_stock_only else shown.backorderable)


class Shop:
    """A store, and what its stocks and reservations are between two commands."""

    def __init__(self, store: Store, writer: Player, reached: Counter[str]) -> None:
        self.store, self.writer, self.reached = store, writer, reached

    async def levels(self) -> Mapping[StockId, Levels]:
        """Return the recorded levels, with all that they follow from."""
        found = await self.store.storage.observe(lambda t: t.states(STOCKS))
        return {stock_id: found[stock_id].levels for stock_id in STOCKS}

    async def reservation(self, name: ReservationId) -> Reservation | None:
        query = StocksById([], name)
        shown = (await self.store.views.latest.read(query)).value.reservation
        folded = await self.store.storage.observe(lambda t: t.states([name]))
        if shown is not None:
            assert shown.lines == folded[name].lines
            assert (shown.state, shown.held) == (folded[name].state, folded[name].held)
            assert all(min(line) >= 0 and line.held >= 0 for line in shown.lines.values())
        return shown

    async def play(self, command: Command) -> None:
        """Do *command*, and check that it did what it promises, or nothing."""
        await self.writer.expire_due()
        levels = await self.levels()
        name = getattr(command, "reservation_id", NAMES[0])
        before = await self.reservation(name)
        recorded = len(await events_of(self.store))
        [answer] = await self.writer.play(command)
        after = await self.reservation(name)
        if isinstance(answer, Refusal):
            assert after == before
            assert len(await events_of(self.store)) == recorded
        match command:
            case AmendReservation() if before is not None:
                self.check_amended(command, before, after, answer, levels)
            case ReserveStock() if before is None:
                self.check_reserved(command, after, answer, levels)
            case CommitReservation(reacquire=True) if before is not None and not before.held:
                self.check_late(command, before, after, answer, levels)

    def check_amended(
        self,
        command: AmendReservation,
        before: Reservation,
        after: Reservation | None,
        answer: Outcome | Refusal,
        levels: Mapping[StockId, Levels],
    ) -> None:
        """Check that it holds what was named and nothing else, or is short, or is over."""
        assert after is not None
        if not before.held:
            assert isinstance(answer, ReservationClosed)
            return
        held = before.holds()
        room = {
            stock_id: held.get(stock_id, 0)
            + had(levels[stock_id], before.channel, in_stock_only=command.in_stock_only)
            for stock_id in command.cart
        }
        more = {key: units for key, units in command.cart.items() if units > held.get(key, 0)}
        if any(units > room[key] for key, units in more.items()):
            self.check_short(answer, more, room)
            self.reached["an amendment was short"] += 1
            return
        assert isinstance(answer, Outcome), answer
        assert after.holds() == command.cart
        assert after.customer_id == before.customer_id
        assert (after.channel, after.expire_time) == (before.channel, before.expire_time)
        for stock_id, line in before.lines.items():
            assert after.lines[stock_id].committed == line.committed
            assert after.lines[stock_id].expired == line.expired
            if stock_id not in more:
                assert after.lines[stock_id].since == line.since
        waited = sum(line.backordered for line in after.lines.values())
        self.reached["amended"] += after != before
        self.reached["amended to wait"] += bool(more and waited)
        self.reached["a line ended"] += any(key not in command.cart for key in held)

    def check_reserved(
        self,
        command: ReserveStock,
        after: Reservation | None,
        answer: Outcome | Refusal,
        levels: Mapping[StockId, Levels],
    ) -> None:
        """Check that it got what its mode says."""
        channel, in_stock_only, mode = command.asked
        room = {
            stock_id: had(levels[stock_id], channel, in_stock_only=in_stock_only)
            for stock_id in command.cart
        }
        cart = dict(command.cart)
        if mode is Mode.PARTIAL_LINES:
            cart = {key: units for key, units in cart.items() if units <= room[key]}
        granted = {key: min(units, room[key]) for key, units in cart.items() if room[key]}
        is_whole = granted == command.cart
        if not granted or (mode is Mode.ALL_OR_NOTHING and not is_whole):
            self.check_short(answer, command.cart, room)
            self.reached[f"{mode.name} had nothing"] += 1
            return
        assert after is not None
        assert after.holds() == granted
        assert list(after.lines) == list(granted)
        self.reached[f"{mode.name} had {'all' if is_whole else 'a part'}"] += 1

    def check_late(
        self,
        command: CommitReservation,
        before: Reservation,
        after: Reservation | None,
        answer: Outcome | Refusal,
        levels: Mapping[StockId, Levels],
    ) -> None:
        """Check that it committed what had expired if that could still be had from stock."""
        expired = {key: line.expired for key, line in before.lines.items() if line.expired}
        wanted = dict(command.cart) or expired
        if not expired or any(units > expired.get(key, 0) for key, units in wanted.items()):
            return  # closed, already committed, or more than expired: stories have each of them
        if not command.cart and before.state.name == "COMMITTED":
            assert after == before
            return
        room = {key: had(levels[key], before.channel, in_stock_only=True) for key in wanted}
        if any(units > room[key] for key, units in wanted.items()):
            self.check_short(answer, wanted, room)
            self.reached["late and short"] += 1
            return
        assert isinstance(answer, Outcome), answer
        assert after is not None
        for key, line in before.lines.items():
            units = wanted.get(key, 0)
            assert after.lines[key].committed == line.committed + units
            assert after.lines[key].expired == line.expired - units
        for stock in answer.streams:
            was, units = levels[stock.stock_id], wanted[stock.stock_id]
            assert stock.levels.on_hand == was.on_hand - units
            assert stock.levels.reserved == was.reserved
        self.reached["late and in time"] += 1

    def check_short(
        self, answer: Outcome | Refusal, wanted: Mapping[StockId, int], room: Mapping[StockId, int]
    ) -> None:
        """Check that every short line is named, unless a line is of something retired."""
        assert isinstance(answer, Refusal), answer
        if type(answer).__name__ == "Retired":
            self.reached["retired"] += 1
            return
        assert isinstance(answer, InsufficientStock), answer
        told = [(line.stock_id, line.asked, line.available) for line in answer.lines]
        assert told == [
            (key, units, room[key]) for key, units in wanted.items() if units > room[key]
        ]


def test_a_reservation_is_changed_as_asked_or_not_at_all() -> None:
    reached = Counter[str]()

    async def story(store: Store, chance: Random) -> None:
        clock = ManualClock()
        shop = Shop(store, player(store, clock, at_hand=2), reached)
        begin: Sequence[Command] = [
            *(add(8, stock_id) for stock_id in STOCKS),
            fence(2),
            terms(limit=6),
            reserve({STOCKS[0]: 2, STOCKS[1]: 2}, NAMES[0], expiration=Ttl(Span(MINUTE))),
            reserve({STOCKS[0]: 1}, NAMES[1], expiration=Never(), asked=Asked(VIP)),
        ]
        for command in begin:
            await shop.play(command)
        for _ in range(chance.randint(LONGEST // 2, LONGEST)):
            clock.go_on(Span(chance.choice([0, 0, 0, 0, 2 * MINUTE])))
            await shop.play(chosen(chance))

    for number in range(runs(least=120, ci=300, deep=4_000)):
        chance = Random(f"{SEED} amending {number}")
        kind = "durable" if number % 8 == 0 else "memory"
        in_a_new(kind, partial(story, chance=chance))
    assert_reached(reached, "amended", "amended to wait", "a line ended", "an amendment was short")
    assert_reached(reached, "late and in time", "late and short", "retired")
    modes = [mode.name for mode in Mode]
    assert_reached(
        reached, *(f"{mode} had {part}" for mode in modes for part in ("all", "nothing"))
    )
    assert_reached(reached, *(f"{mode} had a part" for mode in modes[1:]))
