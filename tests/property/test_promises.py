"""Laws of what can be promised: exactly so much, whenever fills and expiries are recorded."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from inventory_grpc.application.outcomes import Outcome
from inventory_grpc.domain.book import Command
from inventory_grpc.domain.promises import Asked, Mode
from inventory_grpc.domain.refusals import Refusal
from inventory_grpc.domain.reservation_commands import ReserveStock
from inventory_grpc.domain.reversal import ReverseEvent
from inventory_grpc.domain.stock import Inventory
from inventory_grpc.domain.values import Channel, Never, Span, StockId, Ttl
from inventory_grpc_protos.v1.events_pb2 import Event
from tests.support.clock import ManualClock
from tests.support.effort import runs
from tests.support.engines import on_each_engine
from tests.support.histories import (
    Player,
    Step,
    assert_reached,
    directly,
    for_all,
    histories,
    in_a_new,
    kinds,
    many_examples,
    player,
    timeless_directly,
)
from tests.support.model import Model, without_overdue
from tests.support.scribe import log_of
from tests.support.shelf import Shelf
from tests.support.stores import Store
from tests.support.terms import SetTerms
from tests.support.world import (
    KETTLES,
    SECOND,
    TOASTERS,
    VIP,
    WEB,
    add,
    change_by,
    commit,
    fence,
    remove,
    reserve,
    stock,
)

pytestmark = on_each_engine


async def model_of(store: Store) -> Model:
    return Model(await log_of(store))


def granted(command: ReserveStock, shelves: Mapping[StockId, Shelf]) -> str | dict[StockId, int]:
    """Return the units by stock that *command* gets, or the name of the refusal."""
    channel, in_stock_only, mode = command.asked
    got: dict[StockId, int] = {}
    for stock_id, units in command.cart.items():
        shelf = shelves[stock_id]
        can = shelf.own(channel or "") + (0 if in_stock_only else shelf.backorderable)
        if mode is Mode.ALL_OR_NOTHING and shelf.is_retired:
            return "Retired"
        if units <= can or (mode is Mode.PARTIAL_QUANTITY and can):
            got[stock_id] = min(units, can)
    is_all = len(got) == len(command.cart)
    return got if got and (is_all or mode is not Mode.ALL_OR_NOTHING) else "InsufficientStock"


def test_a_cart_gets_exactly_what_can_be_had_without_overdue_holds() -> None:
    reached = Counter[str]()

    async def ask(writer: Player, step: Step) -> None:
        writer.clock.go_on(step.pause)
        now, command = writer.clock.wall(), step.command
        model = await model_of(writer.store) if isinstance(command, ReserveStock) else Model()
        (answer,) = await writer.play(command)
        if not isinstance(command, ReserveStock) or command.reservation_id in model.promises:
            return
        shelves = {stock_id: without_overdue(model, stock_id, now) for stock_id in command.cart}
        for stock_id, shelf in shelves.items():
            shelf.terms = model.in_force(stock_id, shelf.terms)
        expected = granted(command, shelves)
        if isinstance(answer, Outcome):
            lines = answer.subjects[0].lines
            assert {stock_id: line.quantity for stock_id, line in lines.items()} == expected
        else:
            assert type(answer).__name__ == expected
        case = "granted" if isinstance(expected, dict) else "refused"
        reached[case] += 1
        recorded = {stock_id: model.shelves.get(stock_id, Shelf()) for stock_id in shelves}
        for stock_id, shelf in recorded.items():
            reached["by terms not recorded"] += shelf.terms != shelves[stock_id].terms
            shelf.terms = shelves[stock_id].terms
        reached["granted for what was over"] += expected != granted(command, recorded)
        reached[command.asked.mode.name] += case == "granted"

    async def story(store: Store, history: list[Step]) -> None:
        writer = player(store, ManualClock())
        some_lines = reserve(
            {KETTLES: 1, TOASTERS: 99},
            "some-lines",
            expiration=Never(),
            asked=Asked(mode=Mode.PARTIAL_LINES),
        )
        for step in [*history, Step(0, add(100, KETTLES)), Step(0, some_lines)]:
            await ask(writer, step)
        # in every history, somebody has it all, and then somebody else wants it
        shelf = without_overdue(await model_of(store), KETTLES, writer.clock.wall())
        for pause, name in ((0, "one"), (0, "too-soon"), (SECOND, "another")):
            everything = reserve(
                {KETTLES: shelf.available or 1},
                name,
                expiration=Ttl(Span(SECOND)),
                asked=Asked(in_stock_only=True),
            )
            await ask(writer, Step(pause, everything))

    for_all(histories, story)
    assert_reached(
        reached,
        "granted",
        "refused",
        "granted for what was over",
        least=runs(least=10, ci=40, deep=80),
    )
    assert_reached(reached, "by terms not recorded", *(mode.name for mode in Mode))


Limit = tuple[int, Callable[[int], Command]]
"""The most units that can be had, and the command that wants so many."""


def limits_of(stock_id: StockId, shelf: Shelf) -> Iterator[Limit]:
    """Yield what the levels of a stock say that can be done with it."""
    for channel in (None, VIP, WEB):
        own, free = shelf.own(channel or ""), shelf.free(channel or "")
        for asked, most in (
            (Asked(channel), own + shelf.backorderable),
            (Asked(channel, in_stock_only=True), own),
        ):
            yield most, partial(_reserve, stock_id, asked)
        yield free, partial(remove, of=stock_id, channel=channel)
    for channel in (VIP, WEB):
        yield shelf.available, partial(fence, of=stock_id, channel=channel)
        yield shelf.fences[channel], partial(_unfence, stock_id, channel)
    yield shelf.sellable, partial(_take, stock_id)
    for name, covered in shelf.covered().items():
        most = min(covered, shelf.sellable)
        if most < shelf.lines[name].held:
            yield most, partial(_commit, stock_id, name)


def _reserve(stock_id: StockId, asked: Asked, units: int) -> Command:
    return reserve({stock_id: units}, "new", expiration=Never(), asked=asked)


def _unfence(stock_id: StockId, channel: Channel, units: int) -> Command:
    return fence(-units, stock_id, channel=channel)


def _take(stock_id: StockId, units: int) -> Command:
    return change_by(-units, stock_id)


def _commit(stock_id: StockId, name: str, units: int) -> Command:
    return commit({stock_id: units}, name)


def test_all_that_is_shown_can_be_had_and_one_unit_more_cannot() -> None:
    reached = Counter[str]()

    async def story(store: Store, history: list[Step]) -> None:
        writer = player(store, ManualClock())
        for pause, command in history:
            writer.clock.go_on(pause)
            await writer.play(command)
        await writer.expire_due()
        for stock_id, shelf in (await model_of(store)).shelves.items():
            key = stock(*stock_id)
            for most, command_for in limits_of(key, shelf):
                more = command_for(most + 1)
                [refused] = await writer.play(more, is_dry=True)
                assert type(refused).__name__ in {"InsufficientStock", "Retired"}, more
                if most:
                    [done] = await writer.play(command_for(most), is_dry=True)
                    assert isinstance(done, Outcome), command_for(most)
                    reached[type(more).__name__] += 1

    for_all(directly, story)
    assert_reached(reached, "ReserveStock", "RemoveStock", "FenceStock", "AdjustStock", least=20)
    assert_reached(reached, "CommitReservation")


def test_levels_do_not_depend_on_when_fills_are_recorded() -> None:
    reached = Counter[str]()

    async def play(store: Store, commands: Sequence[Command], often: float, seed: int) -> object:
        """Return all answers, and the end; fills are recorded *often*, and at the end."""
        writer, chance, answers = player(store, ManualClock()), Random(seed), list[object]()
        for command in commands:
            (answer,) = await writer.play(command)
            answers.append(told(answer))
            reached[type(answer).__name__] += 1
            if chance.random() < often:
                await writer.fill_due()
        await writer.fill_due()
        model = await model_of(store)
        log = map(Event.FromString, await log_of(store))
        reached["filled"] += any(event.WhichOneof("fact") == "backorder_filled" for event in log)
        kept = {name: promise.parts for name, promise in model.promises.items()}
        return answers, kept, {key: shelf.shown() for key, shelf in model.shelves.items()}

    @settings(many_examples(), max_examples=runs(least=24, ci=80, deep=80))
    @given(kind=kinds, history=timeless_directly, seed=st.integers(0, 99))
    def law(kind: str, history: list[Step], seed: int) -> None:
        commands = [command for _, command in history if is_timeless(command)]
        at_once = in_a_new("memory", lambda store: play(store, commands, 1, seed))
        at_random = in_a_new("memory", lambda store: play(store, commands, 0.3, seed))
        when_needed = in_a_new(kind, lambda store: play(store, commands, 0, seed))
        assert at_once == at_random == when_needed

    law()
    assert_reached(reached, "Outcome", "InsufficientStock", "filled")


def is_timeless(command: Command) -> bool:
    """Return whether *command* means the same whatever fills came before it.

    Versions and positions count fills, and a safety stock that is raised takes goods back.
    """
    if isinstance(command, SetTerms):
        return not command.terms.safety_stock
    return not isinstance(command, ReverseEvent) and not getattr(command, "expected_version", None)


def told(answer: Outcome | Refusal) -> object:
    """Return *answer* without what counts fills, and without the units that wait as recorded."""
    if isinstance(answer, Refusal):
        return type(answer), str(answer), answer.facts()
    levels = [
        (state.stock_id, state.levels.shown)
        for state in answer.streams
        if isinstance(state, Inventory)
    ]
    lines = [
        (stock_id, *line[:4], line.fenced)
        for reservation in answer.subjects
        for stock_id, line in reservation.lines.items()
    ]
    return levels, lines
