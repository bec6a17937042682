"""The short way to record plain commands makes the events and answers that `decide` makes."""

from collections import Counter
from unittest.mock import patch

from hypothesis import given
from hypothesis import strategies as st

from inventory_grpc.application.ledger import batch as batch_module
from inventory_grpc.application.ledger.plain import record_plain
from inventory_grpc.application.ledger.workbook import Workbook
from inventory_grpc.application.outcomes import Outcome
from inventory_grpc.domain.event import Cause
from inventory_grpc.domain.stock_commands import AddStock, RemoveStock
from inventory_grpc.domain.values import MAX_LEVEL, Quantity
from tests.support.any_command import STOCKS
from tests.support.clock import ManualClock
from tests.support.engines import on_each_engine
from tests.support.histories import (
    Step,
    assert_reached,
    histories,
    in_a_new,
    many_examples,
    player,
)
from tests.support.scribe import log_of
from tests.support.stores import Store
from tests.support.world import add, remove


def test_a_level_that_would_be_too_high_is_left_to_the_decision() -> None:
    most = MAX_LEVEL - Quantity.MAX
    assert add(Quantity.MAX).on_plain(1, most) is not None
    assert add(Quantity.MAX).on_plain(1, most + 1) is None


_moves = st.builds(
    Step,
    st.just(0),
    st.builds(add, st.integers(1, 4), st.sampled_from(STOCKS))
    | st.builds(remove, st.integers(1, 4), st.sampled_from(STOCKS)),
)
_mixed = st.lists(_moves, min_size=4, max_size=30)
_request_ids = st.lists(st.sampled_from(["", "one", "two"]), min_size=60, max_size=60)


@on_each_engine
def test_plain_commands_are_recorded_and_answered_as_decided() -> None:
    reached = Counter[str]()

    def noted(book: Workbook, command: AddStock | RemoveStock, cause: Cause) -> Outcome | None:
        outcome = record_plain(book, command, cause)
        reached[f"{type(command).__name__}: {'plain' if outcome else 'decided'}"] += 1
        return outcome

    async def play(
        store: Store, history: list[Step], sizes: list[int], request_ids: list[str]
    ) -> tuple[object, object]:
        clock = ManualClock()
        writer, answers, rest = player(store, clock), list[object](), history
        for size in [*sizes, len(history)]:
            some, rest = rest[:size], rest[size:]
            for pause, _ in some:
                clock.go_on(pause)
            ids, request_ids = request_ids[: len(some)], request_ids[len(some) :]
            ids += [""] * (len(some) - len(ids))
            answered = await writer.play(*[command for _, command in some], request_ids=ids)
            answers += [
                answer if isinstance(answer, Outcome) else str(answer) for answer in answered
            ]
        return await log_of(store), answers

    @many_examples()
    @given(
        history=histories,
        moves=_mixed,
        sizes=st.lists(st.integers(1, 10), max_size=10),
        request_ids=_request_ids,
    )
    def law(
        history: list[Step], moves: list[Step], sizes: list[int], request_ids: list[str]
    ) -> None:
        async def playing(store: Store) -> tuple[object, object]:
            return await play(store, [*history, *moves], sizes, request_ids)

        with patch.object(batch_module, "record_plain", noted):
            short = in_a_new("memory", playing)
        with patch.object(batch_module, "PLAIN", frozenset()):
            assert in_a_new("memory", playing) == short

    law()
    assert_reached(
        reached,
        *(f"{kind}: {way}" for kind in ("AddStock", "RemoveStock") for way in ("plain", "decided")),
    )
