"""Laws of ring-fences over random histories: none loses a unit, and each keeps its own."""

from collections import Counter
from collections.abc import Callable
from functools import partial
from random import Random
from typing import Any, Final

from inventory_grpc.application.outcomes import Outcome
from inventory_grpc.application.queries.stock import Availability, StocksById, availability
from inventory_grpc.domain.amending import AmendReservation
from inventory_grpc.domain.book import Command
from inventory_grpc.domain.event import Event
from inventory_grpc.domain.levels import Levels
from inventory_grpc.domain.promises import Asked
from inventory_grpc.domain.refusals import InsufficientStock
from inventory_grpc.domain.reservation_facts import (
    GivenBack,
    ReservationCommitted,
    ReservationReacquired,
)
from inventory_grpc.domain.stock import StockFenced, StockRemoved
from inventory_grpc.domain.values import Channel, Expiration, Never, ReservationId, Span, Ttl
from tests.support.clock import ManualClock
from tests.support.effort import SEED, runs
from tests.support.engine import assemble
from tests.support.engines import on_each_engine
from tests.support.histories import Player, assert_reached, in_a_new, player
from tests.support.scribe import events_of
from tests.support.stores import Store
from tests.support.terms import terms
from tests.support.world import (
    DAMAGED,
    KETTLES,
    MINUTE,
    VIP,
    WEB,
    add,
    cart,
    change_by,
    commit,
    fence,
    move,
    release,
    remove,
    reserve,
    reverse,
)

pytestmark = on_each_engine

CHANNELS: Final = (VIP, WEB)
NAMES: Final = [ReservationId(f"r{number}") for number in range(1, 7)]

LONGEST: Final = 40
"""Commands of a history."""

NO_LIMIT: Final = 0


def command(chance: Random, limit: int) -> Command:
    """Return a command; the often drawn ones stand in several lines."""
    units, channel = chance.randint(1, 5), chance.choice(CHANNELS)
    anyone = chance.choice([None, None, VIP, VIP, WEB])
    name = chance.choice(NAMES)
    asked = Asked(anyone, in_stock_only=chance.random() < 0.3)
    end: Expiration = Never() if chance.random() < 0.5 else Ttl(Span(MINUTE))
    commands: list[Command] = [
        add(units + 3),
        fence(units, channel=channel),
        fence(units, channel=channel),
        fence(-units, channel=channel),
        remove(units, channel=anyone),
        change_by(chance.choice([-5, -3, 2])),
        move(units, into=DAMAGED),
        *[reserve(units + 2, name, expiration=end, asked=asked)] * 5,
        *[commit(chance.randint(0, 3), name)] * 2,
        *[release(chance.randint(0, 3), name)] * 2,
        terms(safety=chance.randint(0, 2), limit=limit),
        *[reverse(chance.randint(2, 12))] * 2,
    ]
    return chance.choice(commands)


def used_up(event: Event, channel: Channel) -> int:
    """Return how many units of the channel's fence left the store with *event*."""
    fact: Any = event.fact
    leaves = isinstance(fact, StockRemoved | ReservationCommitted | ReservationReacquired)
    return fact.fenced if leaves and fact.channel == channel else 0


def set_aside(event: Event, channel: Channel) -> int:
    fact = event.fact
    return fact.delta if isinstance(fact, StockFenced) and fact.channel == channel else 0


def own_of(shown: Levels, channel: Channel) -> int:
    """Return what a channel can have from stock, by the formulas of the contract alone."""
    sellable = shown.on_hand - sum(units for _, units in shown.states)
    from_stock = shown.reserved - shown.backordered
    fenced = dict(shown.fences).get(channel, 0)
    spare = max(0, sellable - shown.ring_fenced - shown.safety_stock - shown.reserved)
    free = max(0, sellable - from_stock - (shown.ring_fenced - fenced))
    return min(spare + fenced, free)


async def check(store: Store, writer: Player, reached: Counter[str]) -> None:
    """Check the stock as it is now."""
    events, fences = await events_of(store), Counter[Channel]()
    [stock] = (await store.views.latest.read(StocksById([KETTLES]))).value.stocks.values()
    levels = stock.levels
    held = Counter[Channel]()
    for name in NAMES:
        state = (await store.views.latest.read(StocksById([], name))).value.reservation
        if state is None or KETTLES not in state.lines:
            continue
        line = state.lines[KETTLES]
        assert min(line.fenced, line.backordered) >= 0
        assert line.fenced + line.backordered <= line.held
        if state.channel:
            held[state.channel] += line.fenced
        else:
            assert not line.fenced
    for channel in CHANNELS:
        fences[channel] = levels.fence(channel)
        set_in = sum(set_aside(event, channel) for event in events)
        used = sum(used_up(event, channel) for event in events)
        assert set_in == fences[channel] + held[channel] + used, channel
        reached["held"] += held[channel] > 0
        reached["used"] += used > 0
        await check_channel(writer, levels, channel, reached)
    assert levels.ring_fenced == fences.total()


async def check_channel(
    writer: Player, levels: Levels, channel: Channel, reached: Counter[str]
) -> None:
    """Check that the channel can have its own and what may wait, and not a unit more."""
    own, fenced = own_of(levels, channel), levels.fence(channel)
    assert levels.own(channel) == own
    if levels.sellable - levels.promised >= levels.ring_fenced:
        assert own >= fenced
        reached["own"] += fenced > 0
    else:
        reached["hollow"] += fenced > 0
    room = own + levels.backorderable
    reached["waiting"] += levels.backordered > 0 < own
    if room:
        [answer] = await writer.play(trying(room, channel), is_dry=True)
        assert isinstance(answer, Outcome), answer
        after = answer.streams[0].levels
        assert after.reserved == levels.reserved + room
        assert after.fence(channel) == fenced - min(fenced, own)
    [answer] = await writer.play(trying(room + 1, channel), is_dry=True)
    assert isinstance(answer, InsufficientStock), answer
    assert [line.available for line in answer.lines] == [room]


def trying(units: int, channel: Channel) -> Any:  # noqa: ANN401  a command
    return reserve(units, "try", expiration=Never(), asked=Asked(channel))


async def check_told(store: Store, writer: Player, chance: Random, reached: Counter[str]) -> None:
    """Check that availability is told as a reserve or an amendment would be judged."""
    snapshot = assemble(store).queries.latest()
    in_stock_only = chance.random() < 0.5
    asked = Asked(chance.choice([None, *CHANNELS]), in_stock_only)
    [line] = (await availability(snapshot, cart(1), asked=asked)).value
    await check_room(
        writer, line, lambda units: reserve(units, "try", expiration=Never(), asked=asked)
    )
    for name in NAMES:
        own = (await snapshot.get(name)).value
        if own is not None and own.held:
            told = await availability(snapshot, cart(1), name, asked=Asked(None, in_stock_only))
            [line] = told.value
            amended = partial(_amended, name, in_stock_only=in_stock_only)
            await check_room(writer, line, amended)
            reached["amended"] += own.channel is not None


def _amended(name: ReservationId, units: int, *, in_stock_only: bool) -> AmendReservation:
    return AmendReservation(name, cart(units), in_stock_only)


async def check_room(
    writer: Player, line: Availability, command_of: Callable[[int], Command]
) -> None:
    room = line.available + line.backorderable
    if room:
        [answer] = await writer.play(command_of(room), is_dry=True)
        assert isinstance(answer, Outcome), answer
    [answer] = await writer.play(command_of(room + 1), is_dry=True)
    assert isinstance(answer, InsufficientStock), answer
    assert [line.available for line in answer.lines] == [room]


def test_no_fence_loses_a_unit_and_each_keeps_what_is_its_own() -> None:
    reached = Counter[str]()

    async def story(store: Store, chance: Random) -> None:
        clock = ManualClock()
        writer = player(store, clock, at_hand=2)
        limit = chance.choice([NO_LIMIT, 6, 9])
        await writer.play(terms(limit=limit), add(9), fence(3), fence(2, channel=WEB))
        await writer.play(reserve(4, "begun"))
        left = chance.randint(LONGEST // 2, LONGEST)
        while left > 0:
            size = chance.randint(1, 8)
            clock.go_on(Span(chance.choice([0, 0, 2 * MINUTE])))
            await writer.play(*(command(chance, limit) for _ in range(min(size, left))))
            await writer.expire_due()
            await check(store, writer, reached)
            await check_told(store, writer, chance, reached)
            left -= size
        for event in await events_of(store):
            fact: Any = event.fact
            reached["given back"] += isinstance(fact, GivenBack) and fact.fenced > 0
            reached["undone"] += isinstance(fact, StockFenced) and fact.reverses > 0

    for number in range(runs(least=60, ci=240, deep=4_000)):
        chance = Random(f"{SEED} fences {number}")
        kind = "durable" if number % 8 == 0 else "memory"
        in_a_new(kind, partial(story, chance=chance))
    assert_reached(reached, "held", "used", "own", "hollow", "waiting")
    assert_reached(reached, "given back", "undone", "amended")
