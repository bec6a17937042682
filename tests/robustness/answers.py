"""The events and the answer that a command must have at a given position.

By the independent model: `recorded` gives the events of a command, `answered` and `read` give
the answer, and `explained` says whether a refusal was true at some position.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from inventory_grpc_protos.v1 import queries_pb2 as queries
from inventory_grpc_protos.v1.errors_pb2 import ShortLines
from tests.robustness.history import Call
from tests.robustness.timeline import Recorded, Timeline
from tests.support.model import Key, Part

Cart = Mapping[Key, int]

_FACTS: Final = {
    "AddStock": "stock_added",
    "RemoveStock": "stock_removed",
    "AdjustStock": "stock_adjusted",
    "ReserveStock": "stock_reserved",
    "CommitReservation": "reservation_committed",
    "ReleaseReservation": "reservation_released",
    "ExtendReservation": "reservation_extended",
}


def check_recorded(timeline: Timeline, call: Call, recorded: Recorded) -> None:
    """See that the events of a command are those it asked for, all of them."""
    events = timeline.events_of(recorded)
    fact = _FACTS[call.rpc]
    found: dict[Key, int] = {}
    for event in events:
        assert event.WhichOneof("fact") == fact, f"{call.request_id} has recorded {event}"
        content = getattr(event, fact)
        units = content.delta if fact == "stock_adjusted" else content.quantity
        found[event.product_id, event.store_id] = units
        if fact == "stock_reserved":
            assert content.customer_id == call.request.customer_id, call.request_id
    wanted = _wanted(timeline, call, recorded.first - 1)
    assert found == wanted, f"{call.request_id} has recorded {found}, and asked for {wanted}"


def _wanted(timeline: Timeline, call: Call, before: int) -> Cart:
    """Return which units of which stocks move when *call* is the next command."""
    request = call.request
    match call.rpc:
        case "AddStock" | "RemoveStock":
            return {(request.product_id, request.store_id): request.quantity}
        case "AdjustStock":
            key = request.product_id, request.store_id
            if request.HasField("delta"):
                return {key: request.delta}
            return {key: request.on_hand - timeline.shelf(key, before).on_hand}
        case "ReserveStock":
            return summed(request.lines)
    held = _held(timeline, request.reservation_id, before)
    named = {} if call.rpc == "ExtendReservation" else summed(request.lines)
    assert all(units <= held.get(key, 0) for key, units in named.items()), call.request_id
    return named or held


def answered(timeline: Timeline, call: Call) -> Any:  # noqa: ANN401  of the rpc's type
    """Return what the answer to *call* should be, at the position that it names."""
    position, request = call.answer.position, call.request
    recorded = timeline.commands.get(call.request_id)
    if recorded:
        assert position == recorded.last, f"{call.request_id} is at {recorded}, not {position}"
        keys: Iterable[Key] = [
            (event.product_id, event.store_id) for event in timeline.events_of(recorded)
        ]
    else:
        assert is_done(timeline, call, position), f"{call.request_id} is not in the log"
        keys = _parts(timeline, request.reservation_id, position)
    answer = type(call.answer)(position=position, replayed=call.answer.replayed)
    stocks = [timeline.stock_message(key, position) for key in keys]
    if "Reservation" in call.rpc or call.rpc == "ReserveStock":
        reservation = timeline.reservation_message(request.reservation_id, position)
        answer.reservation.CopyFrom(reservation)
        if call.rpc != "ExtendReservation":
            answer.stocks.extend(stocks)
    else:
        answer.stock.CopyFrom(stocks[0])
    return answer


def is_done(timeline: Timeline, call: Call, position: int) -> bool:
    """Tell whether *call* had nothing to do at *position*, because it was so already."""
    request = call.request
    name = getattr(request, "reservation_id", "")
    promise = timeline.promise(name, position) if name else None
    if promise is None:
        return False
    match call.rpc:
        case "ReserveStock":
            held = _held(timeline, name, position)
            return promise.customer_id == request.customer_id and held == summed(request.lines)
        case "CommitReservation":
            return not request.lines and promise.state == "committed"
        case "ReleaseReservation":
            return not request.lines and promise.state in {"released", "expired"}
        case "ExtendReservation":  # two in one instant ask for the same time
            until = call.answer.reservation.expire_time.ToMicroseconds()
            return promise.state == "active" and promise.expire_time == until
    return False


def read(timeline: Timeline, call: Call) -> Any:  # noqa: ANN401  as above
    """Return what the answer to a query should be, at the position that it names."""
    position, request = call.answer.as_of_position, call.request
    match call.rpc:
        case "GetStock":
            key = request.product_id, request.store_id
            stock = timeline.stock_message(key, position)
            return queries.GetStockResponse(stock=stock, as_of_position=position)
        case "BatchGetStock":
            several = queries.BatchGetStockResponse(as_of_position=position)
            for one in request.keys:
                stock = timeline.stock_message((one.product_id, one.store_id), position)
                several.stocks.append(stock) if stock else several.missing.append(one)
            return several
        case "GetReservation":
            reservation = timeline.reservation_message(request.reservation_id, position)
            return queries.GetReservationResponse(reservation=reservation, as_of_position=position)
        case "CheckAvailability":
            answer = queries.CheckAvailabilityResponse(as_of_position=position, available=True)
            for key, units in summed(request.lines).items():
                had = _available(timeline, key, position)
                line = answer.lines.add(product_id=key[0], store_id=key[1], requested=units)
                line.available, line.shortfall = had, max(0, units - had)
                answer.available &= units <= had
            return answer
    raise AssertionError(f"{call.rpc} is not known here")


def is_explained(timeline: Timeline, call: Call, position: int) -> bool:
    """Tell whether the no to *call* is what everything looked like at *position*."""
    assert call.refused is not None
    request, reason = call.request, call.refused.reason
    name = getattr(request, "reservation_id", "")
    match reason:
        case "INSUFFICIENT_STOCK":
            return _short(timeline, call, position) == _told(call)
        case "EXCEEDS_RESERVATION":
            held = _held(timeline, name, position)
            asked = summed(request.lines).items()
            exceeding = {key: held.get(key, 0) for key, units in asked if units > held.get(key, 0)}
            return exceeding == _told(call)
        case "RESERVATION_NOT_FOUND":
            return timeline.promise(name, position) is None
        case "RESERVATION_CLOSED":
            promise = timeline.promise(name, position)
            return promise is not None and promise.state.upper() == call.refused.facts["state"]
        case "VERSION_CONFLICT":
            version = timeline.shelf((request.product_id, request.store_id), position).version
            return str(version) == call.refused.facts["version"] != str(request.expected_version)
        case "STOCK_NOT_FOUND":
            return timeline.stock_message((request.product_id, request.store_id), position) is None
    raise AssertionError(f"nobody should have been told {reason}: {request}")


def _short(timeline: Timeline, call: Call, position: int) -> Cart:
    """Return of which stocks there is too little, and how much there is."""
    request, had = call.request, _on_hand
    match call.rpc:
        case "ReserveStock":
            asked, had = summed(request.lines), _available
        case "RemoveStock":
            asked, had = {(request.product_id, request.store_id): request.quantity}, _available
        case "AdjustStock":
            asked = {(request.product_id, request.store_id): -request.delta}
        case _:
            held = _held(timeline, request.reservation_id, position)
            asked = summed(request.lines) or held
    there = {key: had(timeline, key, position) for key in asked}
    return {key: there[key] for key, units in asked.items() if units > there[key]}


def _told(call: Call) -> Cart:
    """Return the short lines, as in the answer."""
    assert call.refused is not None
    lines = call.refused.details[ShortLines].lines
    return {(line.product_id, line.store_id): line.available for line in lines}


def summed(lines: Iterable[Any]) -> dict[Key, int]:
    """Return the units of each stock: lines of the same one count together."""
    cart: dict[Key, int] = {}
    for line in lines:
        key = line.product_id, line.store_id
        cart[key] = cart.get(key, 0) + line.quantity
    return cart


def _available(timeline: Timeline, key: Key, position: int) -> int:
    return timeline.shelf(key, position).available


def _on_hand(timeline: Timeline, key: Key, position: int) -> int:
    return timeline.shelf(key, position).on_hand


def _parts(timeline: Timeline, name: str, position: int) -> Mapping[Key, Part]:
    promise = timeline.promise(name, position)
    return promise.parts if promise else {}


def _held(timeline: Timeline, name: str, position: int) -> dict[Key, int]:
    parts = _parts(timeline, name, position)
    return {key: part.held for key, part in parts.items() if part.held}
