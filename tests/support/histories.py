"""Random commands at random times, run through the real writer."""

import asyncio
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple, TypeVar

from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from inventory_grpc.application.ledger.atomic import AtomicBatch, Part
from inventory_grpc.application.ledger.head import Head
from inventory_grpc.application.ledger.states import States
from inventory_grpc.application.ledger.submission import Submission
from inventory_grpc.application.ledger.writer import Writer
from inventory_grpc.application.outcomes import Outcome
from inventory_grpc.domain.book import Command
from inventory_grpc.domain.event import Cause
from inventory_grpc.domain.promises import Asked, Mode
from inventory_grpc.domain.refusals import Refusal
from inventory_grpc.domain.values import Expiration, Never, ReservationId, Span, StockId, Ttl
from inventory_grpc.infrastructure.event_bus import InProcessBus
from tests.support.any_command import (
    ENDLESS,
    ENDS,
    LIMITS,
    NO_LIMIT,
    ORDERS,
    SOME_OR_ALL,
    Commands,
    commands,
    direct_terms,
    policies,
)
from tests.support.clock import ManualClock
from tests.support.effort import DEEP, runs
from tests.support.stores import STORES, Store
from tests.support.terms import terms
from tests.support.world import (
    KETTLES,
    MINUTE,
    SECOND,
    TOASTERS,
    VIP,
    add,
    amend,
    commit,
    fence,
    policy,
    put,
    put_store,
    release,
    reserve,
)

T = TypeVar("T")

kinds: Final = st.sampled_from(["memory"] * 7 + ["durable"])
"""A store to play it on; a durable one takes so much longer to make that it has fewer turns."""

durable = "sqlite"
"""The store that is a durable one; a test on PostgreSQL sets it."""


def many_examples() -> settings:
    return settings(
        max_examples=runs(least=40, ci=80, deep=80),
        deadline=None,
        phases=set(Phase) - {Phase.shrink},  # which would take minutes
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

_waits: Final = [
    Step(
        0,
        reserve(
            {KETTLES: 14}, "waits", asked=Asked(mode=Mode.PARTIAL_QUANTITY), expiration=Never()
        ),
    ),
    Step(0, reserve({KETTLES: 2}, "waits-too", expiration=Never())),
    Step(0, amend({KETTLES: 15}, "waits")),
    Step(0, add(1, KETTLES)),
    Step(0, commit({KETTLES: 1}, "waits-too")),
    Step(0, add(5, KETTLES)),
]
_waits_by_policy: Final = [Step(0, policy("kettle", "lisbon", backorder_limit=20)), *_waits]
_waits_directly: Final = [Step(0, terms(KETTLES, limit=20)), *_waits]
"""Two lines wait for goods, of which the older one gives up its place, and then some come in."""

_set_aside: Final = [
    Step(0, fence(2, KETTLES)),
    Step(0, reserve({KETTLES: 3}, "vip", asked=Asked(VIP), expiration=Never())),
    Step(0, release({KETTLES: 1}, "vip")),
    Step(0, commit({KETTLES: 1}, "vip")),
    Step(0, reserve({KETTLES: 1}, "let-go", expiration=Never())),
    Step(0, release({}, "let-go")),
]
_put_again: Final = [Step(0, put())] * 4
_catalogue: Final = [
    Step(0, one)
    for sku, name in (("K-1", "Lisbon"), ("K-2", "Lisboa"))
    for one in (put(sku=sku), put_store(name=name))
]
"""A product and a store are put twice, each time otherwise."""
_late: Final = [
    Step(0, add(2, TOASTERS)),
    Step(0, reserve({TOASTERS: 1}, "late", expiration=Ttl(Span(SECOND)))),
    Step(0, fence(1, TOASTERS)),
    Step(0, reserve({TOASTERS: 1}, "cart", asked=Asked(VIP), expiration=Ttl(Span(SECOND)))),
    Step(MINUTE, commit(name="late", reacquire=True)),
]


def _histories(
    pauses: st.SearchStrategy[int],
    ends: st.SearchStrategy[Expiration],
    changes_of_terms: Commands,
    *scenes: list[Step],
) -> st.SearchStrategy[list[Step]]:
    """Return histories of any commands, with a commit and one of *scenes* in the middle."""
    steps = st.builds(Step, pauses, commands(ends, changes_of_terms))
    commits = st.builds(Step, pauses, st.builds(commit, SOME_OR_ALL, _begun_names, order=ORDERS))
    return st.builds(
        lambda before, committed, scene, later: [*_begun, *before, committed, *scene, *later],
        st.lists(steps, max_size=12),
        commits,
        st.sampled_from(scenes),
        st.lists(steps, min_size=16, max_size=48),
    )


by_policy: Final = _histories(
    _pauses, ENDS, policies(LIMITS), _waits_by_policy, _set_aside, _late, _catalogue
)
"""Histories in which the terms of stocks change as they do in a shop."""
directly: Final = _histories(
    _pauses, ENDS, direct_terms(LIMITS), _waits_directly, _set_aside, _late, _catalogue
)
"""Histories in which the recorded terms of a stock are always those in force."""
histories: Final = by_policy | directly

_now: Final = st.just(0)
timeless_directly: Final = _histories(
    _now, ENDLESS, direct_terms(LIMITS), _waits_directly, _set_aside
)
timeless: Final = timeless_directly | _histories(
    _now, ENDLESS, policies(LIMITS), _waits_by_policy, _set_aside
)
"""Histories in which nothing ever falls due."""
in_stock: Final = _histories(_now, ENDLESS, direct_terms(NO_LIMIT), _set_aside, _put_again)
"""Timeless histories in which nothing ever waits for goods."""


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

    async def fill_due(self) -> None:
        await self.writer.fill_due()

    async def keep_up(self) -> None:
        """Do one step of each kind of the server's own work."""
        await self.writer.expire_due()
        await self.writer.fill_due()
        await self.writer.walk()


def player(
    store: Store, clock: ManualClock, *, at_hand: int = 100, needs_catalogue: bool = False
) -> Player:
    """Return a writer that keeps so many states at hand."""
    states = States({StockId: at_hand, ReservationId: at_hand})
    writer = Writer(
        store.storage,
        InProcessBus(),
        Head(),
        clock.over_any_storage(),
        states,
        needs_catalogue=needs_catalogue,
    )
    return Player(store, clock, writer)


@asynccontextmanager
async def new(kind: str) -> AsyncIterator[Store]:
    """Open a new, empty store."""
    with tempfile.TemporaryDirectory() as directory:
        async with STORES[durable if kind == "durable" else kind](Path(directory)) as store:
            yield store


def in_a_new(kind: str, story: Callable[[Store], Awaitable[T]]) -> T:
    """Run *story* on a new, empty store."""

    async def run() -> T:
        async with new(kind) as store:
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
    many_examples()(given(kind=kinds, history=histories)(law))()


def assert_reached(reached: Counter[str], *cases: str, least: int = 5) -> None:
    """See that a law came to each of these cases, without which it says nothing.

    The deep run tries new examples each time, and chance may leave out a case.
    """
    if DEEP:
        return
    rare = {case: reached[case] for case in cases if reached[case] < least}
    assert not rare, f"too rare to prove anything: {rare}, of {dict(reached)}"
