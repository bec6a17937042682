"""Checks the answers: each true, each request done once, in one order, in time."""

from collections import Counter
from collections.abc import Iterable, Sequence
from functools import partial

from inventory_grpc.application.failures import RequestIdReused
from inventory_grpc.application.outcomes import Outcome
from inventory_grpc.domain.refusals import InsufficientStock, ReservationNotFound, VersionConflict
from inventory_grpc.domain.reservation_commands import ReserveStock
from inventory_grpc.domain.stock_commands import AdjustStock
from inventory_grpc.domain.values import StockId
from inventory_grpc_protos.v1.events_pb2 import Event
from tests.robustness.simulation.disk import Commit
from tests.robustness.simulation.history import Asked, Attempt, Doubt
from tests.robustness.simulation.stage import Stage
from tests.robustness.simulation.verdict_log import Verdict
from tests.support.model import Model, without_overdue

ROUNDING_MICROS = 2


def judge(stage: Stage) -> Model:
    """Hold everything that was said against the log; return what the log leads to."""
    verdict = Verdict(stage)
    recorded: dict[str, Event] = {}
    for event in verdict.events:
        if event.reference and event.position == event.command_position:
            assert event.reference not in recorded, f"{event.reference} was recorded twice"
            recorded[event.reference] = event
    by_id = Counter(event.request_id for event in recorded.values() if event.request_id)
    twice = [request_id for request_id, times in by_id.items() if times > 1]
    assert not twice, f"done twice: {twice}"
    for asked in stage.asked:
        _judge_request(asked, recorded, verdict)
    for asked in stage.reused:
        answers = [attempt.answer for attempt in asked.attempts]
        assert not any(isinstance(answer, Outcome) for answer in answers), asked
        assert not any(attempt.tag in recorded for attempt in asked.attempts), asked
        if any(isinstance(answer, RequestIdReused) for answer in answers):
            stage.trace.saw("oracle", "a request id was used for something else, and refused")
    for read in stage.reads:
        verdict.was_read(read)
    _assert_one_order([*stage.asked], stage)
    attempts = {attempt.tag: attempt for asked in stage.asked for attempt in asked.attempts}
    for commit in stage.disk.commits:
        _judge_times(commit, verdict.events[commit.first - 1 : commit.last], attempts)
    return verdict.fold()


def _judge_request(asked: Asked, recorded: dict[str, Event], verdict: Verdict) -> None:
    first: Outcome | None = None
    for attempt in asked.attempts:
        match attempt.answer:
            case Outcome() as outcome:
                plain = outcome._replace(replayed=False)
                assert first is None or plain == first, f"{attempt.tag}: another answer than before"
                first = plain
                verdict.answered(asked, outcome)
                if not outcome.replayed and attempt.tag not in recorded:
                    others = [other.tag in recorded for other in asked.attempts]
                    assert not any(others), f"{attempt.tag}: was done before, and does not say so"
            case Doubt():
                pass
            case refusal:
                assert attempt.tag not in recorded, f"{attempt.tag} was told {refusal!r}, and is in"
                _judge_refusal(asked, attempt, verdict)


def _judge_refusal(asked: Asked, attempt: Attempt, verdict: Verdict) -> None:
    """Have a no be justified by some moment between the question and the answer."""
    refusal, command = attempt.answer, asked.command
    window = range(attempt.head_before, attempt.head_after + 1)
    justified: list[bool] = []

    def check(position: int, model: Model) -> None:
        match refusal:
            case ReservationNotFound(name):
                justified.append(name not in model.promises)
            case VersionConflict(expected=expected, current=stock):
                shelf = model.shelves.get(stock.key)
                justified.append(expected != (shelf.version if shelf else 0))
            case InsufficientStock(lines) if isinstance(command, ReserveStock):
                now = round(attempt.called_at * 1e6) + attempt.base
                short = (
                    line.asked > _obtainable(model, command, now, line.stock_id) for line in lines
                )
                justified.append(all(short))
            case InsufficientStock(lines) if isinstance(command, AdjustStock):
                (line,) = lines
                shelf = model.shelves.get(line.stock_id)
                justified.append(line.asked > (shelf.on_hand if shelf else 0))
            case _:
                justified.append(True)
        if position == window[-1]:
            assert any(justified), f"{attempt.tag} was told {refusal}: at no time was that so"

    for position in window:
        verdict.at(position, partial(check, position))


def _obtainable(model: Model, command: ReserveStock, now: int, stock_id: StockId) -> int:
    """Return what *command* could get at *now*, whether or not ended holds are recorded so."""
    shelf = without_overdue(model, stock_id, now)
    shelf.terms = model.in_force(stock_id, shelf.terms)
    room = 0 if command.asked.in_stock_only else shelf.backorderable
    return shelf.own(command.asked.channel or "") + room


def _assert_one_order(asked: Sequence[Asked], stage: Stage) -> None:
    """Check that what was answered before something else was asked has the lower position."""
    done: list[tuple[int, int, int, bool, str]] = []
    for one in asked:
        answered = [a for a in one.attempts if isinstance(a.answer, Outcome)]
        if answered and (outcome := one.outcome):
            called = min(attempt.called for attempt in one.attempts)
            returned = min(attempt.returned for attempt in answered)
            event = stage.disk.tables.events[outcome.position - 1] if outcome.position else None
            tags = {attempt.tag for attempt in one.attempts}
            has_events = event is not None and event.cause.reference in tags
            done.append((called, returned, outcome.position, has_events, one.request_id))
    highest = 0
    by_return = sorted(done, key=lambda each: each[1])
    returned_before = iter(by_return)
    following = next(returned_before, None)
    for called, _, position, has_events, name in sorted(done):
        while following and following[1] < called:
            highest = max(highest, following[2])
            following = next(returned_before, None)
        late = position > highest or (position == highest and not has_events)
        assert late, f"{name} is at {position}, and was asked after {highest} was answered"


def _judge_times(commit: Commit, events: Iterable[Event], attempts: dict[str, Attempt]) -> None:
    """Time in the log is its writer's, set when it started, or what the log has seen of others'.

    So no step of the wall clock is ever in it before somebody starts, and none stops it.
    """
    worked_at = round(commit.worked_at * 1e6)
    for event in events:
        time = event.record_time.ToMicroseconds()
        rule = f"{event.position} was recorded by {commit.writer} at {time - worked_at}"
        assert time >= worked_at + commit.base - ROUNDING_MICROS, f"{rule}, before its time"
        assert time <= worked_at + commit.max_base + ROUNDING_MICROS, f"{rule}, ahead of all clocks"
        attempt = attempts.get(event.reference)
        if attempt and attempt.deadline is not None and not attempt.split:
            rule = f"{attempt.tag} was begun after its deadline"
            assert commit.begun_at < attempt.deadline, rule
