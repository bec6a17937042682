"""The short way to record plain commands makes the events and answers that `decide` makes."""

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple
from unittest.mock import patch

from hypothesis import given
from hypothesis import strategies as st

from inventory_grpc.application.ledger import batch as batch_module
from inventory_grpc.application.ledger.needs import ReadData
from inventory_grpc.application.ledger.plain import PLAIN, answer_plain
from inventory_grpc.application.ledger.submission import Submission
from inventory_grpc.application.ledger.workbook import Workbook
from inventory_grpc.application.outcomes import Answered, Outcome, RequestKey
from inventory_grpc.domain.refusals import Refusal
from inventory_grpc.domain.values import MAX_LEVEL, Quantity
from inventory_grpc_protos.v1.events_pb2 import Event
from tests.support.any_command import STOCKS
from tests.support.clock import ManualClock
from tests.support.engines import on_each_engine
from tests.support.histories import (
    Step,
    assert_reached,
    histories,
    in_a_new,
    kinds,
    many_examples,
    player,
)
from tests.support.opened import differences
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


class Batch(NamedTuple):
    """So many of the next commands come together; all of them may be dry runs."""

    size: int
    is_dry: bool


_batches = st.lists(
    st.builds(Batch, st.integers(1, 10), st.sampled_from([False] * 5 + [True])), max_size=10
)
_request_ids = st.lists(st.sampled_from(["", "one", "two"]), min_size=60, max_size=60)


@on_each_engine
def test_plain_commands_are_recorded_and_answered_as_decided() -> None:
    reached = Counter[str]()

    def noted(
        book: Workbook,
        read: ReadData,
        submissions: Iterable[Submission],
        answers: list[Outcome | Refusal],
        remembered: list[tuple[RequestKey, Answered]],
    ) -> int:
        rest = [*submissions]
        count = answer_plain(book, read, rest, answers, remembered)
        for place, submission in enumerate(rest[: count + 1]):
            kind = type(submission.command)
            if kind in PLAIN:
                reached[f"{kind.__name__}: {'plain' if place < count else 'decided'}"] += 1
        reached["in a row"] += count > 1
        return count

    async def play(
        store: Store, history: list[Step], batches: list[Batch], request_ids: list[str]
    ) -> tuple[object, object]:
        clock = ManualClock()
        writer, answers, rest = player(store, clock), list[object](), history
        for size, is_dry in [*batches, Batch(len(history), is_dry=False)]:
            some, rest = rest[:size], rest[size:]
            for pause, _ in some:
                clock.go_on(pause)
            ids, request_ids = request_ids[: len(some)], request_ids[len(some) :]
            ids += [""] * (len(some) - len(ids))
            answered = await writer.play(
                *[command for _, command in some], request_ids=ids, is_dry=is_dry
            )
            answers += [
                answer if isinstance(answer, Outcome) else str(answer) for answer in answered
            ]
        if store.database:
            assert differences(store.database) == []
        return [_without_log_id(data) for data in await log_of(store)], answers

    @many_examples()
    @given(
        kind=kinds,
        history=histories,
        moves=_mixed,
        batches=_batches,
        request_ids=_request_ids,
    )
    def law(
        kind: str,
        history: list[Step],
        moves: list[Step],
        batches: list[Batch],
        request_ids: list[str],
    ) -> None:
        async def playing(store: Store) -> tuple[object, object]:
            # a row of plain commands is likelier before a history than after it
            return await play(store, [*moves, *history, *moves], batches, request_ids)

        with patch.object(batch_module, "answer_plain", noted):
            short = in_a_new(kind, playing)
        with patch.object(batch_module, "PLAIN", frozenset()):
            assert in_a_new(kind, playing) == short

    law()
    assert_reached(
        reached,
        *(f"{kind}: {way}" for kind in ("AddStock", "RemoveStock") for way in ("plain", "decided")),
        "in a row",
    )


def _without_log_id(data: bytes) -> bytes:
    """Return the event as it is in any log."""
    event = Event.FromString(data)
    event.event_id = event.event_id.rpartition("-")[2]
    return event.SerializeToString(deterministic=True)
