"""The cache agrees with every published event and stays within its size."""

from dataclasses import fields

import pytest

from inventory_grpc.application.ledger.head import Head
from inventory_grpc.application.ports import Reading
from inventory_grpc.domain.event import Fact
from inventory_grpc.domain.levels import Levels
from inventory_grpc.domain.registry import FACTS
from inventory_grpc.domain.stock import Inventory, StockAdded
from inventory_grpc.domain.values import StockId
from inventory_grpc.infrastructure.cache import TTL_SECONDS, TtlStockCache
from inventory_grpc.infrastructure.event_bus import InProcessBus
from tests.support.clock import ManualClock
from tests.support.history import event_of
from tests.support.world import KETTLES, NOON, SECOND, TOASTERS, stock


def shown(stock_id: StockId, version: int) -> Inventory:
    return Inventory(stock_id, Levels(version, 0), version, NOON)


class Shop:
    def __init__(self) -> None:
        self.head = Head()
        self.bus = InProcessBus()
        self.clock = ManualClock()
        self.cache = TtlStockCache(self.head, 3, self.clock.seconds)
        self.bus.subscribe(self.cache)

    def publish(
        self,
        position: int,
        stock_id: StockId,
        fact: Fact = StockAdded(1),  # noqa: B008  it is immutable
        after: Levels | None = None,
    ) -> None:
        after = after or Levels(position, 0)
        self.bus.publish([event_of(position, stock_id, fact, version=position, after=after)])
        self.head.advance(position)

    def put(self, stock_id: StockId, version: int, as_of: int) -> None:
        self.cache.put(stock_id, Reading(shown(stock_id, version), as_of))


@pytest.fixture
def shop() -> Shop:
    return Shop()


def test_what_was_never_read_is_not_there(shop: Shop) -> None:
    assert shop.cache.get(KETTLES) is None


def test_what_was_read_is_there_as_of_then(shop: Shop) -> None:
    shop.put(KETTLES, version=1, as_of=1)
    assert shop.cache.get(KETTLES) == (shown(KETTLES, 1), 1)


def test_events_of_other_stocks_leave_it_true_and_make_it_newer(shop: Shop) -> None:
    shop.put(KETTLES, version=1, as_of=1)
    shop.publish(2, TOASTERS)
    assert shop.cache.get(KETTLES) == (shown(KETTLES, 1), 2)


@pytest.mark.parametrize("kind", FACTS, ids=lambda kind: kind.__name__)
def test_every_kind_of_event_of_the_stock_itself_moves_it(shop: Shop, kind: type[Fact]) -> None:
    shop.put(KETTLES, version=1, as_of=1)
    shop.put(TOASTERS, version=1, as_of=1)
    fact: Fact = kind(*([1] * len(fields(kind))))
    shop.publish(2, KETTLES, fact, after=Levels(7, 3))
    assert shop.cache.get(KETTLES) == (Inventory(KETTLES, Levels(7, 3), 2, NOON), 2)
    assert shop.cache.get(TOASTERS) == (shown(TOASTERS, 1), 2)


def test_an_event_that_was_already_read_does_not_move_it(shop: Shop) -> None:
    shop.put(KETTLES, version=5, as_of=5)
    shop.publish(5, KETTLES)
    assert shop.cache.get(KETTLES) == (shown(KETTLES, 5), 5)
    shop.publish(6, KETTLES)
    assert shop.cache.get(KETTLES) == (shown(KETTLES, 6), 6)


def test_to_be_moved_does_not_keep_it_fresh(shop: Shop) -> None:
    shop.put(KETTLES, version=1, as_of=1)
    shop.clock.go_on(int(TTL_SECONDS) * SECOND)
    shop.publish(2, KETTLES)
    shop.clock.go_on(1)
    assert shop.cache.get(KETTLES) is None


def test_that_a_stock_has_no_history_is_kept_until_it_has(shop: Shop) -> None:
    shop.cache.put(KETTLES, Reading(None, 4))
    shop.publish(5, TOASTERS)
    assert shop.cache.get(KETTLES) == (None, 5)
    shop.publish(6, KETTLES)
    assert shop.cache.get(KETTLES) == (shown(KETTLES, 6), 6)


def test_what_was_skipped_may_have_moved_everything(shop: Shop) -> None:
    shop.put(KETTLES, version=1, as_of=1)
    shop.put(TOASTERS, version=1, as_of=1)
    shop.bus.skip(10_000)
    assert shop.cache.get(KETTLES) is None
    assert shop.cache.get(TOASTERS) is None


def test_it_is_read_again_after_a_while_even_if_nothing_was_heard(shop: Shop) -> None:
    shop.put(KETTLES, version=1, as_of=1)
    shop.clock.go_on(int(TTL_SECONDS) * SECOND)
    assert shop.cache.get(KETTLES) is not None
    shop.clock.go_on(1)
    assert shop.cache.get(KETTLES) is None


def test_being_asked_for_does_not_keep_it_fresh(shop: Shop) -> None:
    shop.put(KETTLES, version=1, as_of=1)
    for _ in range(4):
        shop.clock.go_on(8 * SECOND)
        last = shop.cache.get(KETTLES)
    assert last is None


def test_no_more_are_kept_than_may_be_and_those_asked_for_last(shop: Shop) -> None:
    first, *others = (stock("kettle", f"store-{number}") for number in range(3))
    for stock_id in (first, *others):
        shop.put(stock_id, version=1, as_of=1)
    assert shop.cache.get(first) is not None
    shop.put(KETTLES, version=1, as_of=1)
    assert [shop.cache.get(stock_id) is None for stock_id in (first, *others, KETTLES)] == [
        False,
        True,
        False,
        False,
    ]


def test_a_stock_read_before_an_event_was_published_is_not_cached(shop: Shop) -> None:
    """A reading whose storage answers late could miss an event of its stock."""
    shop.publish(2, KETTLES)
    shop.put(KETTLES, version=1, as_of=1)
    assert shop.cache.get(KETTLES) is None


def test_what_is_put_again_is_kept_once(shop: Shop) -> None:
    for version in range(1, 6):
        shop.put(KETTLES, version, as_of=version)
    shop.put(TOASTERS, version=1, as_of=5)
    assert shop.cache.get(KETTLES) == (shown(KETTLES, 5), 5)
    assert shop.cache.get(TOASTERS) is not None
