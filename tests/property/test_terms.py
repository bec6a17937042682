"""Laws of terms, over random histories of policies, retirements and commands on stocks.

Each command is decided on the terms in force, whatever its stock shows; a stock outside the
changes that are on their way shows them; and no terms are recorded twice.
"""

from collections import Counter
from dataclasses import dataclass, field, replace
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inventory_grpc.application.ledger import terms
from inventory_grpc.application.ledger.batch import Batch
from inventory_grpc.application.outcomes import Outcome
from inventory_grpc.domain.book import Command
from inventory_grpc.domain.catalogue import Retired
from inventory_grpc.domain.policy import SetPolicy
from inventory_grpc.domain.product import RetireProduct
from inventory_grpc.domain.refusals import InsufficientStock
from inventory_grpc.domain.reservation_commands import ReserveStock
from inventory_grpc.domain.stock import StockTermsChanged
from inventory_grpc.domain.stock_commands import AddStock, RemoveStock
from inventory_grpc.domain.store import RetireStore
from inventory_grpc.domain.values import Never, ProductId, ReservationId, StockId, StoreId
from tests.support.any_command import PRODUCTS, STOCKS, STORES_PUT
from tests.support.clock import ManualClock
from tests.support.engines import on_each_engine
from tests.support.histories import (
    Player,
    assert_reached,
    in_a_new,
    kinds,
    many_examples,
    player,
)
from tests.support.history import doing, stock_in
from tests.support.scribe import events_of
from tests.support.stores import Store
from tests.support.world import (
    KETTLES,
    TOASTERS,
    add,
    policy,
    put,
    put_store,
    remove,
    reserve,
)

pytestmark = on_each_engine

_few = st.integers(1, 4)
_stocks = st.sampled_from(STOCKS)
_commands: st.SearchStrategy[Command] = st.one_of(
    st.builds(add, st.integers(1, 6), _stocks),
    st.builds(remove, _few, _stocks),
    *[
        st.builds(
            lambda stock_id, units: reserve({stock_id: units}, expiration=Never()), _stocks, _few
        )
    ]
    * 3,
    *[
        st.builds(
            lambda scope, units: policy(
                *scope, **({} if units is None else {"safety_stock": units})
            ),
            st.sampled_from(
                [(None, None), ("kettle", None), (None, "lisbon"), *map(tuple, STOCKS)]
            ),
            st.sampled_from([None, 0, 1, 2, 3]),
        )
    ]
    * 3,
    st.builds(
        lambda name, back: RetireProduct(ProductId(name), back),
        st.sampled_from(PRODUCTS),
        st.booleans(),
    ),
    st.builds(
        lambda name, back: RetireStore(StoreId(name), back),
        st.sampled_from(STORES_PUT),
        st.booleans(),
    ),
)
Step = list[Command] | str
"""Commands of one transaction, or a step of the walks, which may be killed before its end."""

_steps: st.SearchStrategy[Step] = st.one_of(
    st.lists(_commands, min_size=1, max_size=4),
    st.sampled_from(["walk", "walk", "walk killed"]),
)


@dataclass
class Shop:
    """The shop as its commands have made it, where each change takes effect everywhere at once."""

    on_hand: Counter[StockId] = field(default_factory=Counter)
    reserved: Counter[StockId] = field(default_factory=Counter)
    safety: dict[tuple[str, str], int | None] = field(default_factory=dict)
    retired: set[str] = field(default_factory=set)
    asked: int = 0
    """Reservations asked for."""

    def safety_stock(self, stock_id: StockId) -> int:
        product, store = stock_id
        for scope in ((product, store), ("", store), (product, ""), ("", "")):
            if (units := self.safety.get(scope)) is not None:
                return units
        return 0

    def is_retired(self, stock_id: StockId) -> bool:
        return not self.retired.isdisjoint(stock_id)

    def expect(self, command: Command) -> type[object]:
        """Return the kind of the answer to *command*, and have its effect."""
        match command:
            case SetPolicy():
                self.safety[command.key.covers] = command.policy.safety_stock
            case RetireProduct() | RetireStore():
                change = self.retired.discard if command.restore else self.retired.add
                change(command.key.id)
            case AddStock():
                if self.is_retired(command.stock_id):
                    return Retired
                self.on_hand[command.stock_id] += command.quantity
            case RemoveStock():
                stock_id = command.stock_id
                if command.quantity > self.on_hand[stock_id] - self.reserved[stock_id]:
                    return InsufficientStock
                self.on_hand[stock_id] -= command.quantity
            case ReserveStock():
                [(stock_id, units)] = command.cart.items()
                if self.is_retired(stock_id):
                    return Retired
                spare = self.on_hand[stock_id] - self.reserved[stock_id]
                if units > spare - self.safety_stock(stock_id):
                    return InsufficientStock
                self.reserved[stock_id] += units
        return Outcome


async def assert_settled_stocks_show(store: Store, shop: Shop, reached: Counter[str]) -> None:
    walks = await store.storage.observe(lambda transaction: transaction.walks(100))
    covered = {walk.subject.covers for walk in walks}
    for stock_id in STOCKS:
        stock = await store.storage.observe(partial(stock_in, stock_id=stock_id))
        product, store_id = stock_id
        scopes = {(product, store_id), ("", store_id), (product, ""), ("", "")}
        if not stock.version or not covered.isdisjoint(scopes):
            reached["a stock that need not show its terms"] += 1
            continue
        shown = stock.levels.safety_stock, stock.levels.retired
        assert shown == (shop.safety_stock(stock_id), shop.is_retired(stock_id))
        reached["a stock with other terms" if any(shown) else "a stock without terms"] += 1


class Killed(Exception):
    """The process ends before it commits."""


async def kill_walk(store: Store, clock: ManualClock) -> None:
    def work(transaction: object) -> None:
        doing(Batch.walk, clock)(transaction)  # type: ignore[arg-type]
        raise Killed

    with pytest.raises(Killed):
        await store.storage.transact(work)


def _named(command: Command, shop: Shop) -> Command:
    """Return *command*, with a name of its own if it is a reservation."""
    if not isinstance(command, ReserveStock):
        return command
    shop.asked += 1
    return replace(command, reservation_id=ReservationId(f"r{shop.asked}"))


async def play(writer: Player, shop: Shop, step: Step, reached: Counter[str]) -> None:
    if isinstance(step, list):
        commands = [_named(command, shop) for command in step]
        answers = await writer.play(*commands)
        for command, answer in zip(commands, answers, strict=True):
            assert type(answer) is shop.expect(command), command
            reached[f"{type(command).__name__} {type(answer).__name__}"] += 1
    elif step == "walk":
        await writer.writer.walk()
    else:
        await kill_walk(writer.store, writer.clock)


def test_commands_follow_the_terms_in_force_and_stocks_show_them_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(terms, "MAX_RECORDED", 1)
    monkeypatch.setattr(terms, "MAX_LOOKED_AT", 2)
    reached = Counter[str]()

    async def story(store: Store, history: list[Step]) -> None:
        shop, clock = Shop(), ManualClock()
        writer = player(store, clock)
        await writer.play(*map(put, PRODUCTS), *map(put_store, STORES_PUT))
        await play(writer, shop, [add(6, KETTLES), add(6, TOASTERS)], reached)  # a walk has a way
        for step in history:
            await play(writer, shop, step, reached)
            await assert_settled_stocks_show(store, shop, reached)
        while writer.writer.pending.walks:
            await writer.writer.walk()
        await assert_settled_stocks_show(store, shop, reached)
        before: dict[StockId, object] = {}
        for event in await events_of(store):
            if isinstance(event.fact, StockTermsChanged):
                assert event.fact.terms != before.get(event.key)
                before[event.key] = event.fact.terms
                reached["walked" if event.fact.subject else "before a command"] += 1

    @many_examples()
    @given(kind=kinds, history=st.lists(_steps, min_size=8, max_size=30))
    def law(kind: str, history: list[Step]) -> None:
        in_a_new(kind, lambda store: story(store, history))

    law()
    assert_reached(
        reached,
        "ReserveStock Outcome",
        "ReserveStock InsufficientStock",
        "ReserveStock Retired",
        "AddStock Retired",
        "RemoveStock InsufficientStock",
        "a stock with other terms",
        "a stock without terms",
        "a stock that need not show its terms",
        "walked",
        "before a command",
    )
