"""Laws over any history: what is promised holds, whatever is asked, and whenever."""

from hypothesis import event, given
from hypothesis import strategies as st

from inventory_grpc.application.ports import Outcome
from inventory_grpc.domain.commands import ReserveStock
from inventory_grpc.domain.events import ReservationExpired
from inventory_grpc.domain.refusals import InsufficientStock, Refusal
from inventory_grpc.domain.values import Instant, ReservationId, StockId
from inventory_grpc_protos.v1.events_pb2 import Event
from tests.support.clock import ManualClock
from tests.support.histories import (
    STOCKS,
    Player,
    Step,
    histories,
    in_a_new,
    kinds,
    many_examples,
    player,
    timeless,
)
from tests.support.model import Model
from tests.support.scribe import events_of, log_of
from tests.support.shown import assert_is_kept, assert_is_shown
from tests.support.stores import Store


@many_examples
@given(kind=kinds, history=histories)
def test_whatever_is_asked_every_prefix_of_the_log_keeps_what_is_promised(
    kind: str, history: list[Step]
) -> None:
    async def story(store: Store) -> None:
        clock = ManualClock()
        writer = player(store, clock)
        for pause, command in history:
            clock.go_on(pause)
            await writer.play(command)
        await writer.expire_due()
        Model(await log_of(store))

    in_a_new(kind, story)


@many_examples
@given(kind=kinds, history=histories)
def test_what_is_shown_is_what_the_log_says_now_and_at_every_position(
    kind: str, history: list[Step]
) -> None:
    async def story(store: Store) -> None:
        clock = ManualClock()
        writer = player(store, clock)
        for pause, command in history:
            clock.go_on(pause)
            await writer.play(command)
        model = Model()
        for position, data in enumerate(await log_of(store), start=1):
            model.fold(Event.FromString(data))
            for stock_id in STOCKS:
                then = await store.views.stock_as_of(stock_id, position)
                assert_is_shown(then.value, model, stock_id)
        await assert_all_is_shown(store, model)

    in_a_new(kind, story)


async def assert_all_is_shown(store: Store, model: Model) -> None:
    (stocks, _), as_of = await store.views.stocks(STOCKS, None)
    assert as_of == model.position
    for stock_id in STOCKS:
        assert_is_shown(stocks.get(stock_id), model, stock_id)
        assert store.views.stock(stock_id) == (stocks.get(stock_id), as_of)
    folded = await store.storage.observe(lambda t: [t.inventory(name) for name in STOCKS])
    assert [inventory.stock for inventory in folded if inventory.version] == list(stocks.values())
    for name, promise in model.promises.items():
        assert_is_kept(store.views.reservation(ReservationId(name)).value, promise)
    names = [ReservationId(name) for name in model.promises]
    kept = await store.storage.observe(lambda t: [t.reservation(name) for name in names])
    for reservation, promise in zip(kept, model.promises.values(), strict=True):
        assert_is_kept(reservation, promise)


@many_examples
@given(
    kind=kinds,
    history=timeless,
    sizes=st.lists(st.integers(1, 10), max_size=10),
    at_hand=st.integers(1, 4),
)
def test_however_commands_are_split_into_batches_the_log_and_the_answers_are_the_same(
    kind: str, history: list[Step], sizes: list[int], at_hand: int
) -> None:
    async def split(store: Store, sizes: list[int], at_hand: int) -> tuple[object, object]:
        writer = player(store, ManualClock(), at_hand=at_hand)
        rest = [command for _, command in history]
        answers: list[object] = []
        for size in [*sizes, len(rest)]:
            batch, rest = rest[:size], rest[size:]
            answers += map(said, await writer.play(*batch))
        return await events_of(store), answers

    together = in_a_new("memory", lambda store: split(store, [], 100))
    one_by_one = in_a_new("memory", lambda store: split(store, [1] * len(history), 100))
    in_between = in_a_new(kind, lambda store: split(store, sizes, at_hand))
    assert together == one_by_one == in_between


def said(answer: Outcome | Refusal) -> object:
    if isinstance(answer, Refusal):
        return type(answer), str(answer), answer.facts()
    return answer


async def asked_one_by_one(
    writer: Player, clock: ManualClock, history: list[Step]
) -> list[Outcome | Refusal]:
    """Send every command under a request id of its own."""
    answers: list[Outcome | Refusal] = []
    for number, (pause, command) in enumerate(history):
        clock.go_on(pause)
        answers += await writer.play(command, request_ids=[f"request-{number}"])
    return answers


@many_examples
@given(kind=kinds, history=histories)
def test_every_request_that_was_answered_is_answered_the_same_later(
    kind: str, history: list[Step]
) -> None:
    async def story(store: Store) -> None:
        clock = ManualClock()
        first = await asked_one_by_one(player(store, clock), clock, history)
        log = await log_of(store)
        restarted = player(store, clock)
        for number, answer in enumerate(first):
            if isinstance(answer, Outcome):
                command = history[number].command
                again = await restarted.play(command, request_ids=[f"request-{number}"])
                assert again == [answer._replace(replayed=True)]
        assert await log_of(store) == log

    in_a_new(kind, story)


@many_examples
@given(kind=kinds, history=histories)
def test_a_cart_is_promised_if_and_only_if_there_is_enough_without_what_is_over(
    kind: str, history: list[Step]
) -> None:
    async def story(store: Store) -> None:
        clock = ManualClock()
        writer = player(store, clock)
        for pause, command in history:
            clock.go_on(pause)
            model = Model(await log_of(store))
            (answer,) = await writer.play(command)
            if isinstance(command, ReserveStock) and command.reservation_id not in model.promises:
                enough = all(
                    units <= in_truth_available(model, stock_id, clock.wall())
                    for stock_id, units in command.cart.items()
                )
                event("granted" if enough else "refused")
                assert isinstance(answer, Outcome if enough else InsufficientStock)

    in_a_new(kind, story)


def in_truth_available(model: Model, stock_id: StockId, now: Instant) -> int:
    """Return what is on hand and not promised to anybody any more, recorded or not."""
    if stock_id not in model.shelves:
        return 0
    held = sum(
        promise.parts[stock_id].held
        for promise in model.promises.values()
        if stock_id in promise.parts and (promise.expire_time is None or promise.expire_time > now)
    )
    return model.shelves[stock_id].on_hand - held


@many_examples
@given(kind=kinds, history=histories)
def test_a_refused_command_records_nothing_but_what_time_has_done(
    kind: str, history: list[Step]
) -> None:
    async def story(store: Store) -> None:
        clock = ManualClock()
        writer = player(store, clock)
        for pause, command in history:
            clock.go_on(pause)
            before = store.event_log.head()
            (answer,) = await writer.play(command)
            if isinstance(answer, Refusal):
                event(type(answer).__name__)
                new = (await events_of(store))[before:]
                assert all(isinstance(each.fact, ReservationExpired) for each in new)

    in_a_new(kind, story)
