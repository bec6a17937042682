"""Checks the log against everything that was answered, at every position."""

from collections import defaultdict
from collections.abc import Callable
from functools import partial

from inventory_grpc.application.outcomes import Outcome
from inventory_grpc.application.queries.stock import ProductInventory
from inventory_grpc.domain.amending import AmendReservation
from inventory_grpc.domain.policy import Policy, SetPolicy
from inventory_grpc.domain.promises import Mode
from inventory_grpc.domain.reservation_commands import (
    CommitReservation,
    ExtendReservation,
    OnReservation,
    ReleaseReservation,
    ReserveStock,
)
from inventory_grpc.domain.stock import Inventory
from inventory_grpc.domain.values import Ttl
from inventory_grpc_protos.v1 import policies_pb2
from inventory_grpc_protos.v1.events_pb2 import Event
from inventory_grpc_protos.v1.stock_pb2 import Stock
from tests.robustness.simulation.expected import Moved, assert_is_part, differences, wanted
from tests.robustness.simulation.history import Asked, Faulty, Read
from tests.robustness.simulation.stage import Stage
from tests.support.any_command import STOCKS
from tests.support.model import Model
from tests.support.shown import assert_is_answered, assert_is_kept, assert_is_shown

Check = Callable[[Model], None]


class Verdict:
    """Folds the log with the independent model, and asks at each position what was said of it."""

    def __init__(self, stage: Stage) -> None:
        self.events = [Event.FromString(data) for data in stage.disk.tables.encoded]
        self._at: dict[int, list[Check]] = defaultdict(list)
        self._commands: dict[int, list[Event]] = defaultdict(list)
        for event in self.events:
            self._commands[event.command_position].append(event)

    def at(self, position: int, check: Check) -> None:
        """Have *check* look at the model as of *position*."""
        self._at[position].append(check)

    def fold(self) -> Model:
        model = Model()
        for check in self._at.pop(0, ()):
            check(model)
        for event in self.events:
            model.fold(event)
            for check in self._at.pop(event.position, ()):
                check(model)
        assert not self._at, f"somebody was told of {sorted(self._at)}, beyond the log"
        return model

    def answered(self, asked: Asked, outcome: Outcome) -> None:
        """Have an answer be that of its own command, and true as of its position."""
        assert not isinstance(asked.command, Faulty)
        last = self.events[outcome.position - 1] if outcome.position else Event()
        tags = {attempt.tag for attempt in asked.attempts}
        self.at(outcome.position, partial(_assert_is_told, outcome))
        if last.reference not in tags:
            recorded = [event for event in self.events if event.reference in tags]
            assert not recorded, f"{asked.request_id} was recorded elsewhere than it was told"
            is_so = hasattr(asked.command, "reservation_id") or isinstance(asked.command, SetPolicy)
            assert is_so, f"{asked.request_id} was told to be done, and is not in the log"
            self.at(outcome.position, lambda model: _assert_nothing_to_do(asked, model))
            return
        command = self._commands[last.command_position]
        assert command[-1].position == outcome.position
        told = [stock.stock_id for stock in outcome.streams if isinstance(stock, Inventory)]
        if not isinstance(asked.command, ExtendReservation | SetPolicy):
            assert told == [(event.product_id, event.store_id) for event in command]
        self.at(command[0].position - 1, lambda model: _assert_is_done(asked, command, model))

    def was_read(self, read: Read) -> None:
        self.at(read.as_of, partial(_assert_is_read, read))


def _assert_is_told(outcome: Outcome, model: Model) -> None:
    for stock in outcome.streams:
        if isinstance(stock, Inventory):
            assert_is_shown(stock, model, stock.stock_id)
        else:
            entry = model.catalogue.get(stock.key.subject)
            assert stock.version == (entry.version if entry else 0)
    if outcome.subjects:
        promise = model.promises[outcome.subjects[0].reservation_id]
        assert_is_kept(outcome.subjects[0], promise)


def _assert_nothing_to_do(asked: Asked, model: Model) -> None:
    """Check that nothing had to change, since the answer was OK without an event."""
    command = asked.command
    if isinstance(command, SetPolicy):
        kept = model.policies.get(command.key.covers, policies_pb2.Policy())
        values = {term.name: value for term, value in kept.ListFields()}
        assert command.policy == Policy(**values)
        return
    assert isinstance(command, OnReservation | ReserveStock)
    promise = model.promises[command.reservation_id]
    match command:
        case ReserveStock():
            assert promise.state == "active"
            assert_is_part(command, {key: part.held for key, part in promise.parts.items()})
        case CommitReservation():
            assert promise.state == "committed"
        case ReleaseReservation():
            assert promise.state in {"released", "expired"}
        case ExtendReservation():
            assert promise.state == "active"
        case AmendReservation():
            assert differences(promise, command.cart) == []


def _assert_is_done(asked: Asked, events: list[Event], before: Model) -> None:
    """Hold the events of a command against what it asks, given what was so before."""
    recorded: list[Moved] = []
    for event in events:
        fact = event.WhichOneof("fact") or ""
        content = getattr(event, fact)
        units = content.delta if hasattr(content, "delta") else getattr(content, "quantity", 0)
        recorded.append((fact, (event.product_id, event.store_id), units))
    command = asked.command
    if isinstance(command, ReserveStock) and command.asked.mode is not Mode.ALL_OR_NOTHING:
        assert_is_part(command, {key: units for _, key, units in recorded})
        return
    assert recorded == wanted(asked.command, before), f"{asked.request_id}: {asked.command}"
    end = getattr(asked.command, "expiration", None)
    if isinstance(end, Ttl):
        content = getattr(events[0], events[0].WhichOneof("fact") or "")
        until = events[0].record_time.ToMicroseconds() + end.span
        assert content.expire_time.ToMicroseconds() == until, "it ends when it should"


def _assert_is_read(read: Read, model: Model) -> None:
    match read.what, read.shown:
        case "stock", stock:
            assert stock is None or isinstance(stock, Stock)
            assert_is_answered(stock, model, read.key)  # type: ignore[arg-type]
        case "stocks", dict() as stocks:
            for stock_id in STOCKS:
                assert_is_shown(stocks.get(stock_id), model, stock_id)
        case "reservation", reservation:
            assert_is_kept(reservation, model.promises[str(read.key)])  # type: ignore[arg-type]
        case "no reservation", _:
            assert str(read.key) not in model.promises
        case "product", ProductInventory() as product:
            shelves = [shelf for key, shelf in model.shelves.items() if key[0] == read.key]
            for name in ("on_hand", "reserved", "available", "shortfall", "backordered"):
                total = getattr(product.total, name)
                assert total == sum(getattr(shelf, name) for shelf in shelves)
