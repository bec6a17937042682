"""The states of products and stores in filters."""

from collections.abc import Iterable, Sequence
from typing import Final, Literal

from inventory_grpc.client import messages
from inventory_grpc_protos.v1.catalogue_pb2 import EntryState

State = Literal["ACTIVE", "RETIRED"]

_PREFIX: Final = "ENTRY_STATE_"
_STATES: Final = {name.removeprefix(_PREFIX): value for name, value in EntryState.items() if value}


def numbers(names: Iterable[State]) -> Sequence[EntryState.ValueType]:
    """Return the states with these *names*.

    Raises:
        ValueError: one is no state.
    """
    given = messages.strings("states", names)
    for name in given:
        if name not in _STATES:
            raise ValueError(f"{messages.shown(name)} is not a state: {', '.join(_STATES)}")
    return [_STATES[name] for name in given]
