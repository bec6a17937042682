"""Properties of any history: the promises hold for all commands at all times."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from inventory_grpc.application.outcomes import Outcome
from inventory_grpc.application.queries.product import ProductQuery
from inventory_grpc.application.queries.stock import StocksById
from inventory_grpc.application.queries.store import StoreQuery
from inventory_grpc.domain.product import ProductKey
from inventory_grpc.domain.refusals import Refusal
from inventory_grpc.domain.reservation_facts import ReservationExpired
from inventory_grpc.domain.store import StoreKey
from inventory_grpc.domain.values import (
    ProductId,
    ReservationId,
    StoreId,
)
from inventory_grpc_protos.v1.events_pb2 import Event
from tests.support.any_command import PRODUCTS, STOCKS, STORES_PUT
from tests.support.clock import ManualClock
from tests.support.engines import on_each_engine
from tests.support.histories import (
    Player,
    Step,
    assert_reached,
    by_policy,
    for_all,
    histories,
    in_a_new,
    in_stock,
    kinds,
    many_examples,
    player,
    timeless,
)
from tests.support.history import reservation_in, stock_in
from tests.support.model import Model
from tests.support.scribe import events_of, log_of
from tests.support.shown import assert_is_in_the_catalogue, assert_is_kept, assert_is_shown, shown
from tests.support.stores import Store
from tests.support.world import put, put_store

pytestmark = on_each_engine

FACTS = tuple(field.name for field in Event.DESCRIPTOR.oneofs_by_name["fact"].fields)
CATALOGUE: tuple[ProductKey | StoreKey, ...] = (
    *(ProductKey(ProductId(product_id)) for product_id in PRODUCTS),
    *(StoreKey(StoreId(store_id)) for store_id in STORES_PUT),
)
OFTEN_REFUSED = (
    "InsufficientStock",
    "ReservationClosed",
    "ReservationExists",
    "ReservationNotFound",
    "VersionConflict",
)


def test_every_prefix_of_the_log_keeps_the_promises_for_any_commands() -> None:
    reached = Counter[str]()

    async def story(store: Store, history: list[Step]) -> None:
        clock = ManualClock()
        writer = player(store, clock)
        for pause, command in history:
            clock.go_on(pause)
            if pause:
                await writer.keep_up()
            await writer.play(command)
        await writer.keep_up()
        log = await log_of(store)
        Model(log)
        reached.update(Event.FromString(data).WhichOneof("fact") or "" for data in log)

    for_all(histories, story)
    assert_reached(reached, *FACTS)


def test_no_stock_begins_before_its_product_and_store_where_these_are_required() -> None:
    reached = Counter[str]()

    async def story(store: Store, history: list[Step]) -> None:
        writer = player(store, ManualClock(), needs_catalogue=True)
        known = set[str]()
        await writer.play(put("kettle"), put_store("lisbon"))
        for _, command in history:
            reached.update(type(answer).__name__ for answer in await writer.play(command))
        for event in map(Event.FromString, await log_of(store)):
            needed = {f"product/{event.product_id}", f"store/{event.store_id}"}
            if event.subject:
                known.add(event.subject)
            elif event.version == 1:
                assert needed <= known
                reached["a stock"] += 1

    for_all(by_policy, story)
    assert_reached(reached, "a stock", "NotInCatalogue", "Outcome", least=20)


def test_the_state_shown_is_that_of_the_log_now_and_at_every_position() -> None:
    reached = Counter[str]()

    async def story(store: Store, history: list[Step]) -> None:
        clock = ManualClock()
        writer = player(store, clock)
        for pause, command in history:
            clock.go_on(pause)
            await writer.play(command)
        model = Model()
        for position, data in enumerate(await log_of(store), start=1):
            model.fold(Event.FromString(data))
            for stock_id in STOCKS:
                then = await store.views.at(position).get(stock_id)
                assert_is_shown(then.value, model, stock_id)
                reached["no stock" if then.value is None else "a stock"] += 1
            for key in CATALOGUE:
                known = (await store.views.at(position).get(key)).value
                assert_is_in_the_catalogue(known, model, key)
                reached[f"{key.kind} {known.version if known else 0}"] += 1
        await assert_all_is_shown(store, model)
        reached.update(promise.state for promise in model.promises.values())

    for_all(histories, story)
    assert_reached(reached, "no stock", "a stock", "active", "committed", "released", "expired")
    assert_reached(reached, "product 0", "product 1", "product 2", "store 0", "store 1", "store 2")


async def assert_all_is_shown(store: Store, model: Model) -> None:
    (stocks, *_), as_of = await store.views.latest.read(StocksById(STOCKS))
    assert as_of == model.position
    for stock_id in STOCKS:
        assert_is_shown(stocks.get(stock_id), model, stock_id)
        assert (await store.views.latest.get(stock_id)) == (stocks.get(stock_id), as_of)
    folded = await store.storage.observe(lambda t: [stock_in(t, name) for name in STOCKS])
    assert {stock.stock_id: stock for stock in folded if stock.version} == stocks
    entries = await store.storage.observe(lambda t: t.states(CATALOGUE))
    listed = [
        *(await store.views.latest.read(ProductQuery())).value.rows,
        *(await store.views.latest.read(StoreQuery())).value.rows,
    ]
    assert [entry for entry, _ in listed] == [
        entries[key] for key in CATALOGUE if entries[key].version
    ]
    for key in CATALOGUE:
        shown = (await store.views.latest.get(key)).value
        assert_is_in_the_catalogue(shown, model, key)
        assert entries[key].version == (shown.version if shown else 0)
    for name, promise in model.promises.items():
        assert_is_kept((await store.views.latest.get(ReservationId(name))).value, promise)
    names = [ReservationId(name) for name in model.promises]
    kept = await store.storage.observe(lambda t: [reservation_in(t, name) for name in names])
    for reservation, promise in zip(kept, model.promises.values(), strict=True):
        assert_is_kept(reservation, promise)


def test_however_commands_are_split_into_batches_the_log_and_the_answers_are_the_same() -> None:
    reached = Counter[str]()

    async def split(
        store: Store, history: list[Step], sizes: list[int], at_hand: int
    ) -> tuple[object, object]:
        writer = player(store, ManualClock(), at_hand=at_hand)
        rest = [command for _, command in history]
        answers: list[object] = []
        for size in [*sizes, len(rest)]:
            batch, rest = rest[:size], rest[size:]
            answered = await writer.play(*batch)
            answers += map(said, answered)
            reached.update(type(answer).__name__ for answer in answered)
        return await events_of(store), answers

    @many_examples()
    @given(
        kind=kinds,
        history=timeless,
        sizes=st.lists(st.integers(1, 10), max_size=10),
        at_hand=st.integers(1, 4),
    )
    def law(kind: str, history: list[Step], sizes: list[int], at_hand: int) -> None:
        together = in_a_new("memory", lambda store: split(store, history, [], 100))
        single = [1] * len(history)
        one_by_one = in_a_new("memory", lambda store: split(store, history, single, 100))
        in_between = in_a_new(kind, lambda store: split(store, history, sizes, at_hand))
        assert together == one_by_one == in_between

    law()
    assert_reached(reached, "Outcome", *OFTEN_REFUSED)


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


def test_every_request_that_was_answered_is_answered_the_same_later() -> None:
    reached = Counter[str]()

    async def story(store: Store, history: list[Step]) -> None:
        clock = ManualClock()
        first = await asked_one_by_one(player(store, clock), clock, history)
        log = await log_of(store)
        recorded = {Event.FromString(data).request_id for data in log}
        restarted = player(store, clock)
        for number, answer in enumerate(first):
            request_id = f"request-{number}"
            if isinstance(answer, Outcome):
                command = history[number].command
                (again,) = await restarted.play(command, request_ids=[request_id])
                assert isinstance(again, Outcome)
                assert shown(again) == shown(answer._replace(replayed=True))
            else:
                assert request_id not in recorded
            reached["answered" if isinstance(answer, Outcome) else "refused"] += 1
        assert await log_of(store) == log

    for_all(histories, story)
    assert_reached(reached, "answered", "refused")


def test_a_refused_command_records_nothing_but_what_time_has_done() -> None:
    reached = Counter[str]()

    async def story(store: Store, history: list[Step]) -> None:
        clock = ManualClock()
        writer = player(store, clock)
        for pause, command in history:
            clock.go_on(pause)
            before = await store.event_log.head()
            (answer,) = await writer.play(command)
            new = (await events_of(store))[before:]
            if isinstance(answer, Refusal):
                assert all(isinstance(each.fact, ReservationExpired) for each in new)
                reached["time has done something"] += bool(new)
            reached[type(answer).__name__] += 1

    for_all(histories, story)
    assert_reached(reached, "Outcome", "time has done something", *OFTEN_REFUSED)


def test_a_dry_run_answers_as_the_run_after_it() -> None:
    reached = Counter[str]()

    async def story(store: Store, history: list[Step]) -> None:
        clock = ManualClock()
        writer = player(store, clock)
        for pause, command in history:
            clock.go_on(pause)
            [tried] = await writer.play(command, is_dry=True)
            before = await log_of(store)
            [done] = await writer.play(command)
            if isinstance(done, Refusal):
                assert (type(tried), str(tried)) == (type(done), str(done))
                reached["refused"] += 1
                continue
            assert isinstance(tried, Outcome)
            assert tried.position == len(before)
            assert _settled(tried) == _settled(done)
            reached["recorded" if len(await log_of(store)) > len(before) else "unchanged"] += 1

    for_all(histories, story)
    assert_reached(reached, "refused", "recorded", "unchanged")


def _settled(outcome: Outcome) -> object:
    """Return *outcome* without the position of its last event, which a dry run has none of."""
    return outcome.streams, outcome.subjects


def test_an_atomic_batch_is_its_commands_one_by_one_or_nothing() -> None:
    reached = Counter[str]()

    async def story(store: Store, history: list[Step]) -> None:
        writer = player(store, ManualClock())
        commands = [command for _, command in history]
        for first in range(0, len(commands), 3):
            three = commands[first : first + 3]
            before = await log_of(store)
            together = await writer.play_together(*three, request_id=f"batch-{first}")
            if isinstance(together, Refusal):
                assert await log_of(store) == before
                assert together.command_index is not None
                reached["refused"] += 1
                # what comes before it is not refused, and it is
                alone = await writer.play(*three[: together.command_index + 1])
                assert not any(isinstance(one, Refusal) for one in alone[:-1])
                assert (type(alone[-1]), str(alone[-1])) == (type(together), str(together))
                continue
            events = [Event.FromString(data) for data in (await log_of(store))[len(before) :]]
            assert {event.command_position for event in events} <= {len(before) + 1}
            again = await writer.play_together(*three, request_id=f"batch-{first}")
            assert again == together._replace(replayed=True)
            reached["unchanged" if len({e.part for e in events}) < len(three) else "recorded"] += 1
        Model(await log_of(store))

    for_all(in_stock, story)
    assert_reached(reached, "refused", "recorded", "unchanged")
