"""Requests as callers send them, and the violations in them."""

from typing import Any, Final

from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from inventory_grpc.application.access import ANYBODY
from inventory_grpc.domain.book import Command
from inventory_grpc.domain.event import Cause
from inventory_grpc.domain.refusals import InvalidValue
from inventory_grpc.domain.values import DEFAULT_TTL, Ttl
from inventory_grpc.presentation.call import Call
from inventory_grpc.presentation.commands import SERVICE
from inventory_grpc.presentation.nouns import command_rows
from inventory_grpc.presentation.submissions import cause
from inventory_grpc.presentation.validation import Validator
from inventory_grpc_protos.v1 import commands_pb2 as pb
from inventory_grpc_protos.v1.stock_pb2 import Line
from tests.support.world import NOON

ROWS: Final = {row.name: row for row in command_rows(Ttl(DEFAULT_TTL))}

REQUESTS: Final = [GetMessageClass(SERVICE.methods_by_name[name].input_type) for name in ROWS]
"""The class of every command's request."""


class Context:
    """The part of a context that handlers look at."""

    def __init__(self, seconds: float | None) -> None:
        self._seconds = seconds

    def time_remaining(self) -> float | None:
        return self._seconds


def called(seconds: float | None = None) -> Call:
    """Return a call with so many seconds left."""
    context: Any = Context(seconds)
    return Call(context)


def read(request: Message) -> tuple[Command, Cause]:
    """Return what *request* asks for."""
    with Validator(ANYBODY) as check:
        command = ROWS[type(request).__name__.removesuffix("Request")].read(check, request)
        told = cause(check, request, NOON)
    return command, told


def fields(refused: InvalidValue) -> list[str]:
    return sorted(violation.field for violation in refused.violations)


def line(units: int = 1, product: str = "kettle", store: str = "lisbon") -> Line:
    return Line(product_id=product, store_id=store, quantity=units)


def add(**changed: object) -> pb.AddStockRequest:
    asked: dict[str, Any] = {"product_id": "kettle", "store_id": "lisbon", "quantity": 5}
    return pb.AddStockRequest(**{**asked, **changed})


def adjust(**changed: object) -> pb.AdjustStockRequest:
    asked: dict[str, Any] = {"product_id": "kettle", "store_id": "lisbon", "reason": "found"}
    return pb.AdjustStockRequest(**{**asked, "delta": 1, **changed})


def move(**changed: object) -> pb.MoveStockRequest:
    asked: dict[str, Any] = {"product_id": "kettle", "store_id": "lisbon", "quantity": 1}
    return pb.MoveStockRequest(**{**asked, **changed})


def count(on_hand: int, **changed: object) -> pb.AdjustStockRequest:
    asked: dict[str, Any] = {"product_id": "kettle", "store_id": "lisbon", "reason": "counted"}
    return pb.AdjustStockRequest(**{**asked, "on_hand": on_hand, "expected_version": 1, **changed})


def reserve(**changed: object) -> pb.ReserveStockRequest:
    asked: dict[str, Any] = {"lines": [line()], "customer_id": "ana"}
    return pb.ReserveStockRequest(**{**asked, **changed})
