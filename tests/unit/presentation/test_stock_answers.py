"""The cache of encoded stocks agrees with every published event and stays within its size."""

from dataclasses import fields

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given
from hypothesis import strategies as st

from inventory_grpc.application.access import Caller, Role, Scope
from inventory_grpc.application.failures import PermissionDenied, PositionAhead
from inventory_grpc.application.ledger.head import Head
from inventory_grpc.domain.event import Fact
from inventory_grpc.domain.levels import Levels
from inventory_grpc.domain.refusals import InvalidValue, StockNotFound
from inventory_grpc.domain.registry import FACTS
from inventory_grpc.domain.stock import StockAdded
from inventory_grpc.domain.values import StockId, StoreId
from inventory_grpc.infrastructure.event_bus import InProcessBus
from inventory_grpc.presentation import stock_answers
from inventory_grpc.presentation.stock_answers import TTL_SECONDS, StockAnswers, request_for
from inventory_grpc_protos.v1.queries_pb2 import GetStockRequest, GetStockResponse
from tests.support.clock import ManualClock
from tests.support.engine import Engine
from tests.support.history import event_of
from tests.support.stock_caches import answer_to
from tests.support.world import KETTLES, NOON, PORTO_KETTLES, SECOND, TOASTERS, add, stock

NAMES = st.text("ABCabc019._:/-", min_size=1, max_size=128)


class Shop:
    def __init__(self) -> None:
        self.head = Head()
        self.bus = InProcessBus()
        self.clock = ManualClock()
        self.answers = StockAnswers(self.head, 3, self.clock.seconds)
        self.bus.subscribe(self.answers)

    def publish(self, position: int, stock_id: StockId, fact: Fact | None = None) -> None:
        event = event_of(
            position, stock_id, fact or StockAdded(1), version=position, after=Levels(position, 0)
        )
        self.bus.publish([event])
        self.head.advance(position)

    def keep(self, stock_id: StockId, version: int, as_of: int) -> None:
        response = answer_to(stock_id, version, as_of)
        request = request_for(*stock_id)
        fill = self.answers.begin(request)
        self.answers.keep(request, response, response.SerializeToString(), fill)
        self.answers.end(request, fill)

    def find(self, stock_id: StockId, at_least: int = 0) -> GetStockResponse | None:
        answer = self.answers.find(request_for(*stock_id), at_least)
        return None if answer is None else GetStockResponse.FromString(answer)


@pytest.fixture
def shop() -> Shop:
    return Shop()


@given(NAMES, NAMES)
def test_the_request_for_a_stock_is_what_a_message_is_encoded_as(product: str, store: str) -> None:
    request = GetStockRequest(product_id=product, store_id=store)
    assert request_for(product, store) == request.SerializeToString()


def test_what_was_answered_is_answered_again_byte_by_byte(shop: Shop) -> None:
    shop.keep(KETTLES, version=1, as_of=1)
    expected = answer_to(KETTLES, 1, 1).SerializeToString()
    assert shop.answers.find(request_for(*KETTLES), 0) == expected


def test_events_of_other_stocks_leave_it_true_and_make_it_newer(shop: Shop) -> None:
    shop.keep(KETTLES, version=1, as_of=1)
    shop.publish(300, TOASTERS)
    assert shop.find(KETTLES) == answer_to(KETTLES, 1, 300)
    assert shop.find(KETTLES, at_least=300) is not None
    assert shop.find(KETTLES, at_least=301) is None


@pytest.mark.parametrize("kind", FACTS, ids=lambda kind: kind.__name__)
def test_every_kind_of_event_of_the_stock_itself_renews_it(shop: Shop, kind: type[Fact]) -> None:
    shop.keep(KETTLES, version=1, as_of=1)
    shop.keep(TOASTERS, version=1, as_of=1)
    shop.publish(2, KETTLES, kind(*([1] * len(fields(kind)))))
    assert shop.find(KETTLES) == answer_to(KETTLES, 2, 2)
    assert shop.find(KETTLES, at_least=3) is None
    assert shop.find(TOASTERS) == answer_to(TOASTERS, 1, 2)


def test_a_stock_that_was_read_ahead_of_the_head_is_shown_as_of_then(shop: Shop) -> None:
    shop.publish(1, TOASTERS)
    shop.keep(KETTLES, version=1, as_of=3)
    assert shop.find(KETTLES) == answer_to(KETTLES, 1, 3)
    shop.publish(2, TOASTERS)
    assert shop.find(KETTLES) == answer_to(KETTLES, 1, 3)


def test_a_stock_read_before_an_event_was_published_is_not_kept(shop: Shop) -> None:
    """A reading whose storage answers late could miss an event of its stock."""
    shop.publish(2, KETTLES)
    shop.keep(KETTLES, version=1, as_of=1)
    assert shop.find(KETTLES) is None


class Read:
    """A read of the kettles that is under way, while others and events come."""

    def __init__(self, shop: Shop) -> None:
        self._answers = shop.answers
        self._fill = shop.answers.begin(request_for(*KETTLES))

    def end(self, version: int, as_of: int) -> None:
        request, response = request_for(*KETTLES), answer_to(KETTLES, version, as_of)
        self._answers.keep(request, response, response.SerializeToString(), self._fill)
        self._answers.end(request, self._fill)


def test_a_read_during_which_its_stock_is_published_does_not_take_the_place_of_newer_ones(
    shop: Shop,
) -> None:
    read = Read(shop)
    shop.publish(2, KETTLES)
    newer = Read(shop)
    read.end(version=1, as_of=1)
    assert shop.find(KETTLES) == answer_to(KETTLES, 2, 2)
    newer.end(version=2, as_of=2)
    read.end(version=1, as_of=1)
    assert shop.find(KETTLES) == answer_to(KETTLES, 2, 2)


def test_a_read_during_which_another_process_changes_its_stock_is_not_kept(shop: Shop) -> None:
    read = Read(shop)
    shop.bus.publish_elsewhere([KETTLES], 2)
    read.end(version=1, as_of=1)
    assert shop.find(KETTLES) is None


def test_an_event_of_another_process_drops_what_an_event_here_has_left(shop: Shop) -> None:
    shop.keep(KETTLES, version=1, as_of=1)
    shop.publish(2, KETTLES)
    shop.bus.publish_elsewhere([KETTLES], 3)
    assert shop.find(KETTLES) is None


def test_the_last_of_several_events_is_the_one_that_counts(shop: Shop) -> None:
    shop.keep(KETTLES, version=1, as_of=1)
    shop.publish(2, KETTLES)
    shop.publish(3, KETTLES)
    assert shop.find(KETTLES) == answer_to(KETTLES, 3, 3)
    shop.publish(4, KETTLES)
    assert shop.find(KETTLES) == answer_to(KETTLES, 4, 4)


def test_an_event_after_one_that_came_during_a_read_counts(shop: Shop) -> None:
    read = Read(shop)
    shop.publish(2, KETTLES)
    read.end(version=1, as_of=1)
    shop.bus.publish_elsewhere([KETTLES], 3)
    assert shop.find(KETTLES) is None


def test_the_event_of_a_stock_that_nobody_asked_for_is_not_kept(shop: Shop) -> None:
    shop.keep(KETTLES, version=1, as_of=1)
    shop.publish(2, TOASTERS)
    assert shop.find(TOASTERS) is None


def test_more_renewed_stocks_than_may_be_kept_are_read_again(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stock_answers, "MAX_RENEWED", 1)
    shop.keep(KETTLES, version=1, as_of=1)
    shop.keep(TOASTERS, version=1, as_of=1)
    shop.publish(2, KETTLES)
    shop.publish(3, TOASTERS)
    assert shop.find(KETTLES) is None
    assert shop.find(TOASTERS) == answer_to(TOASTERS, 3, 3)


def test_a_renewed_stock_is_read_again_after_a_while(shop: Shop) -> None:
    shop.keep(KETTLES, version=1, as_of=1)
    shop.publish(2, KETTLES)
    shop.clock.go_on(int(TTL_SECONDS) * SECOND + 1)
    assert shop.find(KETTLES) is None


def test_a_read_during_which_other_stocks_are_published_is_kept_and_valid_there(
    shop: Shop,
) -> None:
    read = Read(shop)
    shop.publish(2, TOASTERS)
    read.end(version=1, as_of=1)
    assert shop.find(KETTLES) == answer_to(KETTLES, 1, 2)


@pytest.mark.parametrize("other_ends_first", [True, False])
def test_of_reads_at_the_same_time_none_from_before_an_event_is_answered(
    shop: Shop, *, other_ends_first: bool
) -> None:
    read, other = Read(shop), Read(shop)
    if other_ends_first:
        other.end(version=1, as_of=1)
    shop.publish(2, KETTLES)
    read.end(version=1, as_of=1)
    if not other_ends_first:
        other.end(version=1, as_of=1)
    assert shop.find(KETTLES) == answer_to(KETTLES, 2, 2)


def test_a_read_during_which_events_were_skipped_is_not_kept(shop: Shop) -> None:
    read = Read(shop)
    shop.bus.skip(10_000)
    read.end(version=1, as_of=1)
    assert shop.find(KETTLES) is None


def test_a_read_that_ended_leaves_nothing_behind(shop: Shop) -> None:
    Read(shop).end(version=1, as_of=1)
    assert not shop.answers._fills


def test_what_was_skipped_may_have_moved_everything(shop: Shop) -> None:
    shop.keep(KETTLES, version=1, as_of=1)
    shop.keep(TOASTERS, version=1, as_of=1)
    shop.publish(2, KETTLES)
    shop.bus.skip(10_000)
    assert shop.find(KETTLES) is None
    assert shop.find(TOASTERS) is None


def test_it_is_read_again_after_a_while_however_often_it_was_asked_for(shop: Shop) -> None:
    shop.keep(KETTLES, version=1, as_of=1)
    for _ in range(2):
        shop.clock.go_on(int(TTL_SECONDS) * SECOND // 2)
        assert shop.find(KETTLES) is not None
    shop.clock.go_on(1)
    assert shop.find(KETTLES) is None
    shop.keep(KETTLES, version=1, as_of=1)
    assert shop.find(KETTLES) is not None


def test_no_more_are_kept_than_may_be_and_those_that_were_put_last(shop: Shop) -> None:
    stocks = [stock("kettle", f"store-{number}") for number in range(4)]
    for stock_id in stocks:
        shop.keep(stock_id, version=1, as_of=1)
    assert [shop.find(stock_id) is None for stock_id in stocks] == [True, False, False, False]
    assert shop.answers.count() == 3


def test_a_stock_that_comes_and_goes_takes_no_more_room(shop: Shop) -> None:
    shop.keep(KETTLES, version=1, as_of=1)
    for position in range(1, 20):
        shop.publish(position, KETTLES)
        assert shop.find(KETTLES)
    shop.keep(TOASTERS, version=1, as_of=19)
    shop.keep(KETTLES, version=1, as_of=19)
    assert shop.find(KETTLES)
    assert shop.find(TOASTERS)
    assert shop.answers.count() == 2


MOMENTS = {
    "a position": GetStockRequest(as_of_position=1).SerializeToString(),
    "a time": GetStockRequest(as_of_time=Timestamp(seconds=NOON // SECOND)).SerializeToString(),
}


@pytest.mark.parametrize("moment", MOMENTS.values(), ids=MOMENTS)
async def test_a_request_for_a_moment_is_not_answered_from_the_cache(
    engine: Engine, moment: bytes
) -> None:
    await engine.record(add(5))
    request = request_for(*KETTLES) + moment
    for _ in range(2):
        answer = await engine.stocks.answer(request)
        assert answer == await engine.stocks.without_cache(request)
    assert (engine.answers.count(), engine.answers.hits) == (0, 0)


SPELLINGS = {
    "a position": GetStockRequest(min_position=1).SerializeToString(),
    "the position 0": b"\x78\x00",
    "an unknown field": b"\x50\x01",
    "the store again": GetStockRequest(store_id="lisbon").SerializeToString(),
}


@pytest.mark.parametrize("more", SPELLINGS.values(), ids=SPELLINGS)
async def test_all_spellings_of_a_request_have_one_entry(engine: Engine, more: bytes) -> None:
    for number in range(2):
        await engine.record(add(5))
        for request in (request_for(*KETTLES) + more, request_for(*KETTLES)):
            answer = await engine.stocks.answer(request)
            assert answer == await engine.stocks.without_cache(request)
        assert (engine.answers.count(), engine.answers.hits) == (1, 2 * number + 1)
    assert engine.answers.misses == 1


async def test_the_fields_in_another_order_are_no_other_entry(engine: Engine) -> None:
    await engine.record(add(5))
    product, store = request_for(*KETTLES)[:8], request_for(*KETTLES)[8:]
    assert await engine.stocks.answer(store + product) == await engine.stocks.answer(
        product + store
    )
    assert (engine.answers.count(), engine.answers.hits) == (1, 1)


REFUSED = {
    "no bytes of a request": b"\xff",
    "a negative position": request_for(*KETTLES)
    + GetStockRequest(min_position=-1).SerializeToString(),
    "a name that is too long": GetStockRequest(
        product_id="k" * 129, store_id="lisbon"
    ).SerializeToString(),
    "a name that is none": GetStockRequest(product_id="%", store_id="é").SerializeToString(),
    "no store": GetStockRequest(product_id="kettle").SerializeToString(),
}


@pytest.mark.parametrize("request_", REFUSED.values(), ids=REFUSED)
async def test_what_is_refused_without_the_cache_is_refused_with_it(
    engine: Engine, request_: bytes
) -> None:
    await engine.record(add(5))
    await engine.stocks.get(KETTLES)
    for _ in range(2):
        with pytest.raises(InvalidValue) as refused:
            await engine.stocks.answer(request_)
        with pytest.raises(InvalidValue) as expected:
            await engine.stocks.without_cache(request_)
        assert refused.value.violations == expected.value.violations


async def test_a_position_beyond_the_log_is_refused_with_the_cache(engine: Engine) -> None:
    await engine.record(add(5))
    for _ in range(2):
        assert (await engine.stocks.get(KETTLES, min_position=1)).as_of_position == 1
        with pytest.raises(PositionAhead):
            await engine.stocks.get(KETTLES, min_position=2)


async def test_a_stock_without_history_is_not_kept(engine: Engine) -> None:
    for _ in range(2):
        with pytest.raises(StockNotFound):
            await engine.stocks.get(KETTLES)
    assert engine.answers.count() == 0
    await engine.record(add(5))
    assert (await engine.stocks.get(KETTLES)).stock.on_hand == 5


async def test_a_caller_with_some_stores_is_answered_for_these_alone(engine: Engine) -> None:
    await engine.record(add(5))
    await engine.record(add(5, PORTO_KETTLES))
    lisbon = Caller("till", Role.READER, Scope(frozenset({StoreId("lisbon")})))
    request = request_for(*KETTLES)
    for _ in range(2):
        expected = await engine.stocks.without_cache(request, lisbon)
        assert await engine.stocks.answer(request, lisbon) == expected
    assert (engine.answers.count(), engine.answers.hits) == (1, 1)
    await engine.stocks.get(PORTO_KETTLES)
    with pytest.raises(PermissionDenied):
        await engine.stocks.answer(request_for(*PORTO_KETTLES), lisbon)


async def test_stocks_are_kept_before_anybody_asks(engine: Engine) -> None:
    await engine.record(add(5))
    reading = await engine.queries.latest().get(KETTLES)
    engine.answers.warm(reading.value, reading.as_of)
    assert (await engine.stocks.get(KETTLES)).stock.on_hand == 5
    assert engine.answers.hits == 1
