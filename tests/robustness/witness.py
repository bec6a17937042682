"""Checks that one order explains all answers, with the log as the witness.

Every answer names its position, so the order need not be searched for: it is
checked in one pass. A call that was answered before another was sent has to come
first; every answer has to be the model's at its position; a call without an answer is
settled by whether its request id is in the log.
"""

import math
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import NamedTuple

from tests.robustness import answers
from tests.robustness.history import Call
from tests.robustness.timeline import Timeline
from tests.support.samples import QUERIES


class Effect(NamedTuple):
    """The place in the order of a call that was sent and answered at these times.

    A command takes the positions from first to last. What only looked did so after last,
    and first is the position behind.
    """

    called: float
    returned: float
    first: int
    last: int
    name: str


class Bounds:
    """The order of calls as far as real time determines it."""

    def __init__(self, effects: Iterable[Effect]) -> None:
        known = list(effects)
        by_return = sorted(known, key=lambda effect: effect.returned)
        self._returns = [effect.returned for effect in by_return]
        self._reached = list(accumulate((effect.last for effect in by_return), max, initial=0))
        by_call = sorted(known, key=lambda effect: -effect.called)
        self._calls = [-effect.called for effect in by_call]
        self._begun = list(accumulate((e.first for e in by_call), min, initial=2**62))

    def floor(self, time: float) -> int:
        """Return the highest position that had been answered before *time*."""
        return self._reached[bisect_left(self._returns, time)]

    def ceiling(self, time: float) -> int:
        """Return the last position before everything that was called after *time*."""
        if time == math.inf:
            return 2**62
        return self._begun[bisect_left(self._calls, -time)] - 1


def check(timeline: Timeline, calls: Sequence[Call], *, processes: int = 1) -> int:
    """See that *timeline* explains *calls*; return how many of them it has settled.

    Queries of several processes may lag behind each other, unless they name a position.

    Raises:
        AssertionError: something was answered that cannot be.
    """
    requests: dict[str, list[Call]] = {}
    for call in calls:
        if call.rpc not in QUERIES:
            requests.setdefault(call.request_id, []).append(call)
    strangers = timeline.commands.keys() - requests.keys()
    assert not strangers, f"nobody has asked for {sorted(strangers)[:3]}"
    effects = [_effect(timeline, sent) for sent in requests.values()]
    written = Bounds(effect for effect in effects if effect)
    for effect in filter(None, effects):
        _check_order(effect, written)
    looked = [call for call in calls if call.rpc in QUERIES and call.answer is not None]
    shown = Bounds(_looking(call) for call in looked)
    for call in looked:
        _check_read(timeline, call, written, shown if processes == 1 else None)
    refused = [call for call in calls if call.is_judged]
    for call in refused:
        _check_refusal(timeline, call, written, processes)
    return len(looked) + len(refused) + sum(1 for effect in effects if effect)


def _effect(timeline: Timeline, sent: Sequence[Call]) -> Effect | None:
    """Return where the command stands that was *sent*, once or more often; None if nowhere."""
    first, name = sent[0], sent[0].request_id
    answered = [call for call in sent if call.answer is not None]
    for call in answered:
        expected = answers.answered(timeline, call)
        assert call.answer == expected, f"{name}: {call.answer} should have been {expected}"
    originals = [call for call in answered if not call.answer.replayed]
    assert len(originals) <= 1, f"{name} was done more than once"
    assert len({call.answer.position for call in answered}) <= 1, f"{name} has two positions"
    in_doubt = [call for call in sent if call.answer is not None or call.is_unknown]
    recorded = timeline.commands.get(name)
    if recorded:
        assert in_doubt, f"{name} was refused, and is in the log"
        answers.check_recorded(timeline, first, recorded)
    called = min((call.called for call in in_doubt), default=0.0)
    returned = min((call.returned for call in answered), default=math.inf)
    if recorded:
        return Effect(called, returned, recorded.first, recorded.last, name)
    if not answered:
        return None
    position = answered[0].answer.position
    return Effect(called, returned, position + 1, position, name)


def _looking(call: Call) -> Effect:
    as_of = call.answer.as_of_position
    return Effect(call.called, call.returned, as_of + 1, as_of, call.rpc)


def _check_order(effect: Effect, bounds: Bounds) -> None:
    floor = bounds.floor(effect.called)
    before = effect.first - 1
    assert floor <= before, f"{effect} was asked for when {floor} had been answered"


def _check_read(timeline: Timeline, call: Call, written: Bounds, shown: Bounds | None) -> None:
    as_of, request = call.answer.as_of_position, call.request
    expected = answers.read(timeline, call)
    assert call.answer == expected, f"{request}: {call.answer} should have been {expected}"
    floor = request.min_position
    if shown:
        floor = max(floor, written.floor(call.called), shown.floor(call.called))
    assert as_of >= floor, f"{call} is older than {floor}"
    assert as_of <= written.ceiling(call.returned), f"{call} has seen what was not asked for yet"


def _check_refusal(timeline: Timeline, call: Call, bounds: Bounds, processes: int) -> None:
    """See that what a caller was refused for was so between the call and its return."""
    lags = call.rpc in QUERIES and processes > 1
    since = 0 if lags else bounds.floor(call.called)
    until = min(bounds.ceiling(call.returned), timeline.position)
    if recorded := timeline.commands.get(call.request_id):
        until = min(until, recorded.first - 1)  # once it is done, it is not refused any more
    explained = timeline.was(lambda at: answers.is_explained(timeline, call, at), since, until)
    assert explained, f"{call} was never so from {since} to {until}"
