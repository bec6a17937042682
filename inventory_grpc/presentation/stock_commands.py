"""The commands on one stock over gRPC: their readers and rows."""

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Final, assert_never

from inventory_grpc.domain.stock_commands import (
    AddStock,
    AdjustStock,
    ChangeBy,
    CountedAs,
    FenceStock,
    MoveStock,
    RemoveStock,
)
from inventory_grpc.domain.values import (
    BUILT_IN_STATES,
    MISSING,
    SELLABLE,
    Channel,
    Quantity,
    UnitState,
    UnknownState,
)
from inventory_grpc.presentation.rows import CommandRow
from inventory_grpc.presentation.to_proto import fill_stock_outcome
from inventory_grpc.presentation.validation import Validator
from inventory_grpc_protos.v1 import commands_pb2

_CONDITIONS: Final = {"expected_version", "expected_on_hand", "unconditional"}
"""The fields of `AdjustStock` that say what a count may overwrite: it needs exactly one."""


StateOf = Callable[[str], UnitState]
"""Returns the state of a name; an `UnknownState` if this server has none of that name."""


def add_stock(
    state_of: StateOf, check: Validator, request: commands_pb2.AddStockRequest
) -> AddStock:
    return AddStock(
        check.stock_id(request),
        check.quantity("quantity", request.quantity),
        check.expected_version(request),
        _other_state(check, "state", request.state, state_of) if request.state else None,
    )


def remove_stock(
    state_of: StateOf, check: Validator, request: commands_pb2.RemoveStockRequest
) -> RemoveStock:
    state = _other_state(check, "state", request.state, state_of)
    channel = check.optional_value(Channel, "channel", request.channel)
    if state and channel:
        check.violation("channel", "must be unset; only sellable units are set aside for one")
    return RemoveStock(
        check.stock_id(request),
        check.quantity("quantity", request.quantity),
        check.expected_version(request),
        state,
        channel,
    )


def fence_stock(check: Validator, request: commands_pb2.FenceStockRequest) -> FenceStock:
    return FenceStock(
        check.stock_id(request),
        check.value(Channel, "channel", request.channel),
        _delta(check, request.delta),
        check.expected_version(request),
    )


def move_stock(
    state_of: StateOf, check: Validator, request: commands_pb2.MoveStockRequest
) -> MoveStock:
    from_state = _other_state(check, "from_state", request.from_state, state_of)
    to_state = _other_state(check, "to_state", request.to_state, state_of)
    if from_state == to_state:
        is_missing = not request.to_state and not request.from_state
        given = MISSING if is_missing else f"is {to_state or SELLABLE}"
        check.violation("to_state", f"{given}; must not be the same as from_state")
    return MoveStock(
        check.stock_id(request),
        check.quantity("quantity", request.quantity),
        from_state,
        to_state,
        check.expected_version(request),
    )


def adjust_stock(
    state_of: StateOf, check: Validator, request: commands_pb2.AdjustStockRequest
) -> AdjustStock:
    if not request.reason:
        check.violation("reason", MISSING)
    state = check.optional_value(state_of, "state", request.state)
    adjustment: ChangeBy | CountedAs
    match request.WhichOneof("adjustment"):
        case "on_hand":
            adjustment = _counted(check, request)
        case "delta" | None as which:
            for field in _conditions(request):
                if field != "expected_version":
                    check.violation(field, "must be unset; it is for on_hand alone")
            adjustment = ChangeBy(request.delta)
            state = None if state == SELLABLE else state
            if which is None:
                check.violation("adjustment", f"{MISSING}; must be delta or on_hand")
            else:
                _delta(check, request.delta)
        case other:
            assert_never(other)
    return AdjustStock(check.stock_id(request), adjustment, check.expected_version(request), state)


def _delta(check: Validator, units: int) -> int:
    if not 1 <= abs(units) <= Quantity.MAX:
        found = "" if units else f"{MISSING} or 0; "
        bounds = f"must be from -{Quantity.MAX:,} to {Quantity.MAX:,}, and not 0"
        check.violation("delta", found + bounds)
    return units


def _other_state(check: Validator, field: str, name: str, state_of: StateOf) -> UnitState | None:
    """Return the state; None if it is sellable, which is the default."""
    state = check.optional_value(state_of, field, name)
    return None if state == SELLABLE else state


def _counted(check: Validator, request: commands_pb2.AdjustStockRequest) -> CountedAs:
    conditions = _conditions(request)
    if not conditions:
        problem = f"{MISSING}; on_hand requires it, expected_on_hand or unconditional"
        check.violation("expected_version", problem)
    elif len(conditions) > 1:
        for field in conditions:
            check.violation(field, f"must be the only one of {', '.join(conditions)}")
    expected = None
    if request.HasField("expected_on_hand"):
        expected = check.number("expected_on_hand", request.expected_on_hand, 0)
    on_hand = check.number("on_hand", request.on_hand, 0)
    return CountedAs(on_hand, expected, request.unconditional)


def _conditions(request: commands_pb2.AdjustStockRequest) -> Collection[str]:
    """Return the fields that are set of those that say what a count may overwrite."""
    fields = [field.name for field, _ in request.ListFields()]
    return [name for name in fields if name in _CONDITIONS]


def commands(own_states: Collection[UnitState] = ()) -> Sequence[CommandRow]:
    """Return the rows; units can have the built-in states and *own_states*."""
    known: Mapping[str, UnitState] = {state: state for state in (*BUILT_IN_STATES, *own_states)}

    def state_of(name: str) -> UnitState:
        return known.get(name) or UnknownState(name)

    return (
        CommandRow("AddStock", partial(add_stock, state_of), fill_stock_outcome, plain=AddStock),
        CommandRow(
            "RemoveStock", partial(remove_stock, state_of), fill_stock_outcome, plain=RemoveStock
        ),
        CommandRow("AdjustStock", partial(adjust_stock, state_of), fill_stock_outcome),
        CommandRow("MoveStock", partial(move_stock, state_of), fill_stock_outcome),
        CommandRow("FenceStock", fence_stock, fill_stock_outcome),
    )
