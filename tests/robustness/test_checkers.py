"""The checkers of order agree with a search of all orders, on small sound and broken histories."""

import math
import random
from collections.abc import Sequence
from itertools import permutations
from typing import NamedTuple

import pytest
from grpc import StatusCode

from inventory_grpc_protos.v1 import commands_pb2 as commands
from inventory_grpc_protos.v1 import queries_pb2 as queries
from inventory_grpc_protos.v1.events_pb2 import Alert, Event
from tests.robustness import witness
from tests.robustness.history import Call
from tests.robustness.timeline import Timeline
from tests.robustness.wing_gong import Levels, Step, is_linearizable, steps_of
from tests.support.caller import Refused, adding
from tests.support.effort import SEED, campaign, runs

KETTLES = "kettle", "lisbon"
NOTHING = Levels(0, 0)


class History(NamedTuple):
    """Calls about kettles, and the log of the events."""

    calls: list[Call]
    timeline: Timeline


def _lived(chance: random.Random) -> History:
    """Return a history of up to six calls that some server may well have had."""
    timeline, calls = Timeline(), []
    for number in range(chance.randint(2, 6)):
        at = float(number)
        called, returned = at - chance.uniform(0, 2.5), at + chance.uniform(0, 2.5)
        if chance.random() < 0.5:
            call = Call("AddStock", adding(chance.randint(1, 3), request_id=f"{number}"), called)
            known = chance.random()
            if known < 0.9 or chance.random() < 0.5:
                _record(timeline, call)
            if known < 0.9:
                call.returned = returned
                stock = timeline.stock_message(KETTLES, timeline.position)
                call.answer = commands.AddStockResponse(stock=stock, position=timeline.position)
        else:
            request = queries.GetStockRequest(product_id="kettle", store_id="lisbon")
            call = Call("GetStock", request, called, returned)
            stock = timeline.stock_message(KETTLES, timeline.position)
            call.answer = queries.GetStockResponse(stock=stock, as_of_position=timeline.position)
            if stock is None:
                continue
        calls.append(call)
    return History(calls, timeline)


def _record(timeline: Timeline, call: Call) -> None:
    position, units = timeline.position + 1, call.request.quantity
    event = Event(
        position=position,
        command_position=position,
        product_id="kettle",
        store_id="lisbon",
        version=position,
        request_id=call.request_id,
    )
    event.stock_added.quantity = units
    if position == 1:
        event.alerts.append(Alert.ALERT_BACK_IN_STOCK)
    event.after.on_hand = event.after.available = timeline.shelf(KETTLES, position).on_hand + units
    timeline.fold(event)


def _break(history: History, chance: random.Random) -> None:
    """Have one answer tell what was not so, or come at another time."""
    answered = [call for call in history.calls if call.answer is not None]
    if not answered:
        return
    call = chance.choice(answered)
    match chance.randrange(3):
        case 0:
            call.answer.stock.on_hand += chance.choice([-1, 1])
        case 1:
            moved = chance.uniform(-6, 6)
            call.called, call.returned = call.called + moved, call.returned + moved
        case 2:
            other = chance.choice(answered)
            if other.rpc == call.rpc:
                call.answer, other.answer = other.answer, call.answer


def _explained_by_any_order(steps: Sequence[Step], levels: Levels) -> bool:
    """Tell by trying every order of every choice of what may have happened."""
    certain = [step for step in steps if step.returned < math.inf]
    doubtful = [step for step in steps if step.returned == math.inf]
    for choice in range(1 << len(doubtful)):
        chosen = certain + [step for i, step in enumerate(doubtful) if choice >> i & 1]
        if any(_explains(order, levels) for order in permutations(chosen)):
            return True
    return False


def _explains(order: Sequence[Step], levels: Levels) -> bool:
    latest_call = -math.inf
    for step in order:
        latest_call = max(latest_call, step.called)
        after = step.take(levels)
        if after is None or step.returned < latest_call:
            return False
        levels = after
    return True


def _witnessed(history: History) -> bool:
    try:
        witness.check(history.timeline, history.calls)
    except AssertionError:
        return False
    return True


def test_both_judges_agree_with_every_order_tried_on_small_histories() -> None:
    tries, chance = runs(least=200, ci=1_200, deep=50_000), random.Random(SEED)
    wrong = seen_from_values = 0
    with campaign("checkers", histories=tries) as noted:
        for number in range(tries):
            history = _lived(chance)
            is_broken = number % 2 == 1
            if is_broken:
                _break(history, chance)
            steps = steps_of(history.calls, KETTLES)
            truth = _explained_by_any_order(steps, NOTHING)
            assert is_linearizable(steps, NOTHING) == truth, history.calls
            witnessed = _witnessed(history)
            assert truth or not witnessed, f"the witness lets pass what cannot be: {history.calls}"
            assert is_broken or witnessed, f"the witness objects to what was so: {history.calls}"
            wrong += not witnessed
            seen_from_values += not truth
        noted.update(wrong=wrong, seen_from_values_alone=seen_from_values)
    assert wrong >= seen_from_values > tries / 20, "hardly any was broken"


def _two_arrivals() -> History:
    """Five kettles arrive, then three, then a query is made. Nothing overlaps."""
    timeline, calls = Timeline(), []
    for number, units in enumerate([5, 3]):
        call = Call("AddStock", adding(units, request_id=f"{number}"), number, number + 0.5)
        _record(timeline, call)
        stock = timeline.stock_message(KETTLES, number + 1)
        call.answer = commands.AddStockResponse(stock=stock, position=number + 1)
        calls.append(call)
    request = queries.GetStockRequest(product_id="kettle", store_id="lisbon")
    look = Call("GetStock", request, 2.0, 2.5)
    stock = timeline.stock_message(KETTLES, 2)
    look.answer = queries.GetStockResponse(stock=stock, as_of_position=2)
    return History([*calls, look], timeline)


def test_what_was_so_is_let_pass() -> None:
    history = _two_arrivals()
    assert witness.check(history.timeline, history.calls) == 3
    assert is_linearizable(steps_of(history.calls, KETTLES), NOTHING)


def test_an_old_level_in_an_answer_is_caught_by_both() -> None:
    history = _two_arrivals()
    old = history.timeline.stock_message(KETTLES, 1)
    history.calls[2].answer = queries.GetStockResponse(stock=old, as_of_position=1)
    assert not is_linearizable(steps_of(history.calls, KETTLES), NOTHING)
    with pytest.raises(AssertionError, match="older than 2"):
        witness.check(history.timeline, history.calls)


def test_an_answer_before_what_was_answered_earlier_is_caught() -> None:
    history = _two_arrivals()
    history.calls[0].called, history.calls[0].returned = 3.0, 3.5
    with pytest.raises(AssertionError, match="had been answered"):
        witness.check(history.timeline, history.calls)


def test_an_acknowledged_command_that_the_log_lacks_is_caught() -> None:
    history = _two_arrivals()
    history.calls[1].request.request_id = "another"
    with pytest.raises(AssertionError, match="nobody has asked for"):
        witness.check(history.timeline, history.calls)


def test_a_command_done_twice_is_caught() -> None:
    history = _two_arrivals()
    with pytest.raises(AssertionError, match="done twice"):
        _record(history.timeline, history.calls[0])


def test_a_no_to_what_was_done_before_it_was_asked_again_is_caught() -> None:
    history = _two_arrivals()
    first = history.calls[0]
    refused = Refused(StatusCode.ABORTED, "VERSION_CONFLICT", {"version": "2"}, "", {}, {})
    late = Call(first.rpc, first.request, 3.0, 3.5, refused=refused)
    with pytest.raises(AssertionError, match="never so from 2 to 0"):
        witness.check(history.timeline, [*history.calls, late])
