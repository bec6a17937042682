"""The states of entries of the catalogue, on the wire."""

from typing import Final

from inventory_grpc.domain.values import EntryState
from inventory_grpc_protos.v1 import catalogue_pb2 as pb

STATES: Final = {
    EntryState.ACTIVE: pb.ENTRY_STATE_ACTIVE,
    EntryState.RETIRED: pb.ENTRY_STATE_RETIRED,
}

STATES_BY_NUMBER: Final = {number: state for state, number in STATES.items()}
