"""No answer depends on when the fills of backorders are recorded, so nobody can jump the queue.

The same commands go to two shops. One records fills after each command, the other seldom.
"""

import asyncio
from collections.abc import Sequence
from functools import partial

from hypothesis import event, given, settings
from hypothesis import strategies as st

from inventory_grpc.domain.book import Command
from inventory_grpc.domain.levels import ShownLevels
from inventory_grpc.domain.promises import Asked
from inventory_grpc.domain.refusals import Refusal
from inventory_grpc.domain.values import ReservationId
from tests.support.backorder_shop import Shop
from tests.support.history import reservation_in
from tests.support.stores import in_memory
from tests.support.terms import terms
from tests.support.world import (
    DAMAGED,
    KETTLES,
    SECOND,
    VIP,
    add,
    amend,
    change_by,
    commit,
    fence,
    move,
    release,
    remove,
    reserve,
)

CARTS = ("a", "b", "vip", "r0", "r1", "r2")

units = st.integers(1, 6)
names = st.sampled_from(CARTS)
commands: st.SearchStrategy[Command] = st.one_of(
    units.map(add),
    units.map(add),
    st.tuples(units, st.sampled_from((None, VIP))).map(
        lambda each: remove(each[0], channel=each[1])
    ),
    st.sampled_from((-2, -1, 1, 3)).map(fence),
    st.sampled_from((-3, -2, -1, 1, 2)).map(change_by),
    units.map(lambda number: move(number, into=DAMAGED)),
    st.tuples(units, names, st.sampled_from((None, VIP))).map(
        lambda each: reserve(*each[:2], asked=Asked(each[2]))
    ),
    st.tuples(units, names).map(lambda each: amend(*each)),
    st.tuples(st.integers(0, 4), names).map(lambda each: commit(*each)),
    st.tuples(st.integers(0, 4), names).map(lambda each: release(*each)),
    # a safety stock that is raised takes back what nobody was given yet, so it is never raised
    st.integers(0, 12).map(lambda limit: terms(limit=limit, safety=1)),
)
histories = st.lists(
    st.tuples(commands, st.sampled_from((False, False, False, True))), min_size=10, max_size=30
)

Told = tuple[str, ShownLevels]


async def do(shop: Shop, command: Command) -> Told:
    """Return how *command* was answered, and the levels after it."""
    try:
        await shop.do(command)
        answer = "done"
    except Refusal as refusal:
        answer = str(refusal)
    return answer, (await shop.levels()).shown


async def lines(shop: Shop) -> Sequence[tuple[int, ...] | None]:
    found: list[tuple[int, ...] | None] = []
    for name in CARTS:
        state = partial(reservation_in, reservation_id=ReservationId(name))
        reservation = await shop.store.storage.observe(state)
        found.append(reservation and tuple(reservation.lines[KETTLES][:6]))
    return found


async def compared(history: Sequence[tuple[Command, bool]]) -> int:
    """Do the commands in both shops; return how many of them came while fills were late."""
    prompt, late = Shop(in_memory()), Shop(in_memory())
    while_late = 0
    for shop in (prompt, late):
        await shop.do(terms(limit=9, safety=1), add(3), fence(2))
        await shop.do(reserve(3, "vip", asked=Asked(VIP)), reserve(3, "a"), reserve(2, "b"))
    for command, is_filled in history:
        while_late += (await late.levels()).fills_due > 0
        assert await do(late, command) == await do(prompt, command)
        await prompt.scribe.fill_due()
        if is_filled:
            await late.scribe.fill_due()
        for shop in (prompt, late):
            shop.scribe.clock.go_on(SECOND)
    await late.scribe.fill_due()
    assert await lines(late) == await lines(prompt)
    return while_late


@settings(max_examples=100)
@given(histories)
def test_nothing_depends_on_when_fills_are_recorded(
    history: Sequence[tuple[Command, bool]],
) -> None:
    while_late = asyncio.run(compared(history))
    event(f"{min(while_late, 3)} commands or more while fills were late")
