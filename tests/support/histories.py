"""Random commands at random times, run through the real writer."""

import asyncio
import tempfile
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple, TypeVar

from hypothesis import given, settings
from hypothesis import strategies as st

from inventory_grpc.application.ledger.atomic import AtomicBatch, Part
from inventory_grpc.application.ledger.head import Head
from inventory_grpc.application.ledger.states import States
from inventory_grpc.application.ledger.submission import Submission
from inventory_grpc.application.ledger.writer import Writer
from inventory_grpc.application.outcomes import Outcome
from inventory_grpc.domain.book import Command
from inventory_grpc.domain.event import Cause
from inventory_grpc.domain.refusals import Refusal
from inventory_grpc.domain.store import StoreKind
from inventory_grpc.domain.values import (
    SELLABLE,
    CustomerId,
    Expiration,
    Never,
    OrderId,
    ReservationId,
    Span,
    StockId,
    Ttl,
)
from inventory_grpc.infrastructure.event_bus import InProcessBus
from tests.support.clock import ManualClock
from tests.support.effort import runs
from tests.support.stores import STORES, Store
from tests.support.world import (
    DAMAGED,
    KETTLES,
    MINUTE,
    PORTO_KETTLES,
    RETURNED,
    SECOND,
    TOASTERS,
    add,
    change_by,
    commit,
    count,
    extend,
    move,
    put,
    put_store,
    release,
    remove,
    reserve,
    reverse,
)

T = TypeVar("T")

STOCKS: Final = (KETTLES, TOASTERS, PORTO_KETTLES)
PRODUCTS: Final = ("kettle", "toaster")
STORES_PUT: Final = ("lisbon", "porto")

kinds: Final = st.sampled_from(["memory"] * 7 + ["sqlite"])
"""A store to play it on; a file takes so much longer to make that it has fewer turns."""

many_examples: Final = settings(max_examples=runs(least=50, ci=80, deep=80), deadline=None)

_stocks = st.sampled_from(STOCKS)
_versions = st.sampled_from([None, None, None, 1, 2])
_few = st.integers(1, 4)
_new_names = st.sampled_from([f"r{number}" for number in range(1, 9)])
_names = st.sampled_from(["r1", "r2", "r3"])
_customers = st.sampled_from([CustomerId("ana"), CustomerId("ben")])
_orders = st.sampled_from([None, None, None, OrderId("order-1"), OrderId("order-2")])
_carts = st.dictionaries(_stocks, _few, min_size=1, max_size=2)
_all: st.SearchStrategy[dict[StockId, int]] = st.just({})
_some_or_all = _all | _all | st.dictionaries(_stocks, st.integers(1, 2), min_size=1, max_size=2)
_ends: st.SearchStrategy[Expiration] = st.sampled_from(
    [Ttl(Span(seconds * SECOND)) for seconds in (1, 30, 60, 90, 600, 3600)] + [Never()]
)
_products = st.sampled_from(PRODUCTS)
_stores = st.sampled_from(STORES_PUT)
_store_kinds = st.sampled_from(StoreKind)
_groups = st.sets(st.sampled_from(["coast", "north"]))
_skus = st.sampled_from(["", "K-1", "K-2"])
_attributes = st.dictionaries(st.sampled_from(["colour", "weight"]), st.sampled_from(["", "red"]))
_puts: st.SearchStrategy[Command] = st.one_of(
    st.builds(put, _products, sku=_skus, attributes=_attributes, expected=_versions),
    st.builds(put_store, _stores, kind=_store_kinds, groups=_groups, expected=_versions),
)
_states = st.sampled_from([None, None, None, None, DAMAGED, RETURNED])
_ways = st.permutations([None, DAMAGED, RETURNED])
_endless: st.SearchStrategy[Expiration] = st.just(Never())


def _commands(ends: st.SearchStrategy[Expiration]) -> st.SearchStrategy[Command]:
    return st.one_of(
        st.builds(add, st.integers(1, 8), _stocks, state=_states),
        st.builds(remove, _few, _stocks, state=_states),
        st.builds(change_by, st.sampled_from([-6, -1, 1, 6]), _stocks, state=_states),
        st.builds(
            count,
            st.integers(0, 12),
            _stocks,
            expected=st.sampled_from([None, None, 1, 2, 3]),
            state=_states | st.just(SELLABLE),
        ),
        st.builds(
            lambda units, stock_id, ways: move(units, stock_id, out_of=ways[0], into=ways[1]),
            _few,
            _stocks,
            _ways,
        ),
        *[st.builds(reverse, st.sampled_from([1, 2, 5, 6, 7]))] * 2,
        *[
            st.builds(reserve, _carts, names, customer=_customers, order=_orders, expiration=ends)
            for names in (_names, _new_names, _new_names)
        ],
        *[st.builds(commit, _some_or_all, _names, order=_orders)] * 3,
        *[st.builds(release, _some_or_all, _names)] * 2,
        st.builds(extend, ends, _names),
        _puts.map(lambda command: command),  # as rare as one other kind of command
    )


class Step(NamedTuple):
    """Some time passes, then a command is sent."""

    pause: int
    command: Command


_pauses = st.sampled_from([0, 0, 0, 0, 1, SECOND, 30 * SECOND, MINUTE, 10 * MINUTE])

_begun: Final = [
    Step(0, add(9, KETTLES)),
    Step(0, add(9, TOASTERS)),
    Step(0, reserve({KETTLES: 2, TOASTERS: 1}, "r1", expiration=Never())),
    Step(0, reserve({KETTLES: 1}, "r2", expiration=Never())),
]
"""The start of every history, so that there is stock to sell and a reservation to commit."""

_begun_names = st.sampled_from(["r1", "r2"])


def _histories(
    pauses: st.SearchStrategy[int], ends: st.SearchStrategy[Expiration]
) -> st.SearchStrategy[list[Step]]:
    steps = st.builds(Step, pauses, _commands(ends))
    commits = st.builds(Step, pauses, st.builds(commit, _some_or_all, _begun_names, order=_orders))
    return st.builds(
        lambda before, committed, later: [*_begun, *before, committed, *later],
        st.lists(steps, max_size=12),
        commits,
        st.lists(steps, min_size=16, max_size=48),
    )


histories: Final = _histories(_pauses, _ends)
timeless: Final = _histories(st.just(0), _endless)
"""Histories in which nothing ever falls due."""


@dataclass
class Player:
    """The writer of one process, without the loop that decides what to do next."""

    store: Store
    clock: ManualClock
    writer: Writer

    async def play(
        self, *commands: Command, request_ids: Sequence[str] = (), is_dry: bool = False
    ) -> Sequence[Outcome | Refusal]:
        """Do *commands* in one batch; a refusal is an answer."""
        ids = [*request_ids] or [""] * len(commands)
        return await self.writer.answer(
            [
                Submission.of(command, Cause(request_id), repr(command).encode())._replace(
                    is_dry=is_dry
                )
                for command, request_id in zip(commands, ids, strict=True)
            ]
        )

    async def play_together(
        self, *commands: Command, request_id: str = "", is_dry: bool = False
    ) -> Outcome | Refusal:
        """Do *commands* as an atomic batch."""
        cause = Cause(request_id)
        parts = [Part(one, cause._replace(part=part)) for part, one in enumerate(commands, 1)]
        batch = AtomicBatch(parts)
        asked = Submission.of(batch, cause, repr(batch).encode())._replace(is_dry=is_dry)
        [answer] = await self.writer.answer([asked])
        return answer

    async def expire_due(self) -> None:
        await self.writer.expire_due()


def player(
    store: Store, clock: ManualClock, *, at_hand: int = 100, needs_catalogue: bool = False
) -> Player:
    """Return a writer that keeps so many states at hand."""
    states = States({StockId: at_hand, ReservationId: at_hand})
    writer = Writer(
        store.storage,
        InProcessBus(),
        Head(),
        clock.log_clock(),
        states,
        needs_catalogue=needs_catalogue,
    )
    return Player(store, clock, writer)


def in_a_new(kind: str, story: Callable[[Store], Awaitable[T]]) -> T:
    """Run *story* on a new, empty store."""

    async def run() -> T:
        with tempfile.TemporaryDirectory() as directory:
            async with STORES[kind](Path(directory)) as store:
                return await story(store)

    return asyncio.run(run())


def for_all(
    histories: st.SearchStrategy[list[Step]],
    story: Callable[[Store, list[Step]], Awaitable[None]],
) -> None:
    """Run *story* with many histories, each on a new store of some kind."""

    def law(kind: str, history: list[Step]) -> None:
        in_a_new(kind, lambda store: story(store, history))

    # the name decides which histories are tried where these are the same in every run
    law.__name__ = story.__qualname__.partition(".")[0]
    many_examples(given(kind=kinds, history=histories)(law))()


def assert_reached(reached: Counter[str], *cases: str, least: int = 5) -> None:
    """See that a law came to each of these cases, without which it says nothing."""
    rare = {case: reached[case] for case in cases if reached[case] < least}
    assert not rare, f"too rare to prove anything: {rare}, of {dict(reached)}"
