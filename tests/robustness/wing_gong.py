"""A search, from values alone, for an order that explains the answers about one stock.

After Wing and Gong, "Testing and verifying concurrent objects", 1993, with Lowe's memory of
visited states. It knows neither positions nor versions nor the log: a second judge of the
same history, whose errors are unlike those of the first.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Final, NamedTuple

from tests.robustness.answers import summed
from tests.robustness.history import Call
from tests.support.model import Key

MOST: Final = 2_000_000
"""Steps of a search that is not given up yet."""


class Levels(NamedTuple):
    on_hand: int
    reserved: int

    @property
    def available(self) -> int:
        return max(0, self.on_hand - self.reserved)


class Step(NamedTuple):
    """Something that took place at one moment between two times, if it did."""

    called: float
    returned: float
    """Infinite, if it is unknown whether it took place."""
    take: Callable[[Levels], Levels | None]
    """The levels after this step; None where they contradict the answer."""


def is_linearizable(steps: Iterable[Step], levels: Levels) -> bool:
    """Tell whether some order of *steps* that real time allows begins at *levels*."""
    ordered = sorted(steps, key=lambda step: step.called)
    certain = sum(1 << i for i, step in enumerate(ordered) if step.returned < math.inf)
    tried: set[tuple[int, Levels]] = set()
    ahead = [(0, levels)]
    while ahead:
        done, levels = place = ahead.pop()
        if done & certain == certain:
            return True
        if place in tried:
            continue
        tried.add(place)
        assert len(tried) < MOST, "too much to search through"
        ahead += _next(ordered, done, levels)
    return False


def _next(ordered: Sequence[Step], done: int, levels: Levels) -> Iterable[tuple[int, Levels]]:
    """Yield where one step more leads: any that was asked before another had to be over."""
    first = (~done & (done + 1)).bit_length() - 1
    must_be_over = math.inf
    for number in range(first, len(ordered)):
        step = ordered[number]
        if step.called > must_be_over:
            return
        if not done >> number & 1:
            must_be_over = min(must_be_over, step.returned)
            after = step.take(levels)
            if after is not None:
                yield done | 1 << number, after


def steps_of(calls: Sequence[Call], key: Key) -> list[Step]:
    """Return what *calls* did to one stock: arrivals, carts, whole commits and releases, looks."""
    carts = {
        call.request.reservation_id: summed(call.request.lines)
        for call in calls
        if call.rpc == "ReserveStock"
    }
    return [
        Step(call.called, call.returned, take)
        for call in calls
        if (take := _take(call, key, carts)) is not None and not call.is_turned_away
    ]


def _take(
    call: Call, key: Key, carts: dict[str, dict[Key, int]]
) -> Callable[[Levels], Levels | None] | None:
    """Return what *call* does to the levels of a stock; None if it is about other stocks."""
    request = call.request
    if call.rpc in {"AddStock", "GetStock"}:
        if (request.product_id, request.store_id) != key:
            return None
        return _moving(call, key, request.quantity if call.rpc == "AddStock" else 0, 0)
    units = carts.get(request.reservation_id, {}).get(key)
    if units is None:
        return None
    if call.is_judged:
        assert call.rpc == "ReserveStock", f"{call} should not have been refused"
        return _refusing(call, key, units)
    move = {
        "ReserveStock": (0, units),
        "CommitReservation": (-units, -units),
        "ReleaseReservation": (0, -units),
    }
    return _moving(call, key, *move[call.rpc])


def _moving(call: Call, key: Key, on_hand: int, reserved: int) -> Callable[[Levels], Levels | None]:
    shown = None
    if call.answer is not None:
        stocks = call.answer.stocks if hasattr(call.answer, "stocks") else [call.answer.stock]
        stock = next(s for s in stocks if (s.product_id, s.store_id) == key)
        shown = Levels(stock.on_hand, stock.reserved)

    def take(levels: Levels) -> Levels | None:
        after = Levels(levels.on_hand + on_hand, levels.reserved + reserved)
        if 0 <= after.reserved <= after.on_hand and shown in {None, after}:
            return after
        return None

    return take


def _refusing(call: Call, key: Key, units: int) -> Callable[[Levels], Levels | None]:
    assert call.refused is not None
    lines = next(iter(call.refused.details.values())).lines
    told = {(line.product_id, line.store_id): line.available for line in lines}

    def take(levels: Levels) -> Levels | None:
        if key in told:
            return levels if levels.available == told[key] < units else None
        return levels if levels.available >= units else None

    return take
