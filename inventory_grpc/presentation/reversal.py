"""The reversal of events over gRPC: its reader and its row."""

from typing import Final

from inventory_grpc.domain.reversal import ReverseEvent
from inventory_grpc.domain.values import MISSING, EventAt
from inventory_grpc.presentation.rows import CommandRow
from inventory_grpc.presentation.to_proto import fill_stock_outcome
from inventory_grpc.presentation.validation import Validator
from inventory_grpc_protos.v1 import commands_pb2


def reverse_event(check: Validator, request: commands_pb2.ReverseEventRequest) -> ReverseEvent:
    if not request.reason:
        check.violation("reason", MISSING)
    position = request.reversed_position
    if not position:
        check.violation("reversed_position", MISSING)
    return ReverseEvent(EventAt(check.number("reversed_position", position, 1)))


COMMANDS: Final = (CommandRow("ReverseEvent", reverse_event, fill_stock_outcome),)
