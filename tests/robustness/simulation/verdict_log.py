"""Checks the log against everything that was answered, at every position."""

from collections import defaultdict
from collections.abc import Callable
from functools import partial

from inventory_grpc.application.outcomes import Outcome
from inventory_grpc.domain.levels import Levels
from inventory_grpc.domain.reservation_commands import (
    CommitReservation,
    ExtendReservation,
    ReleaseReservation,
    ReserveStock,
)
from inventory_grpc.domain.stock import Inventory
from inventory_grpc.domain.stock_commands import (
    AddStock,
    AdjustStock,
    ChangeBy,
    CountedAs,
    RemoveStock,
)
from inventory_grpc.domain.values import Ttl
from inventory_grpc_protos.v1.events_pb2 import Event
from tests.robustness.simulation.history import Asked, Faulty, Read
from tests.robustness.simulation.stage import Stage
from tests.support.histories import STOCKS
from tests.support.model import Key, Model
from tests.support.shown import assert_is_kept, assert_is_shown

Check = Callable[[Model], None]
Moved = tuple[str, Key, int]


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
            name = getattr(asked.command, "reservation_id", None)
            assert name, f"{asked.request_id} was told to be done, and is not in the log"
            self.at(outcome.position, lambda model: _assert_nothing_to_do(asked, model))
            return
        command = self._commands[last.command_position]
        assert command[-1].position == outcome.position
        told = [stock.stock_id for stock in outcome.streams]
        if not isinstance(asked.command, ExtendReservation):
            assert told == [(event.product_id, event.store_id) for event in command]
        self.at(command[0].position - 1, lambda model: _assert_is_done(asked, command, model))

    def was_read(self, read: Read) -> None:
        self.at(read.as_of, partial(_assert_is_read, read))


def _assert_is_told(outcome: Outcome, model: Model) -> None:
    for stock in outcome.streams:
        assert_is_shown(stock, model, stock.stock_id)
    if outcome.subjects:
        promise = model.promises[outcome.subjects[0].reservation_id]
        assert_is_kept(outcome.subjects[0], promise)


def _assert_nothing_to_do(asked: Asked, model: Model) -> None:
    """Check that nothing had to change, since the answer was OK without an event."""
    command = asked.command
    assert isinstance(
        command, ReserveStock | CommitReservation | ReleaseReservation | ExtendReservation
    )
    promise = model.promises[command.reservation_id]
    match command:
        case ReserveStock():
            assert promise.state == "active"
            wanted = {stock_id: int(units) for stock_id, units in command.cart.items()}
            assert {key: part.held for key, part in promise.parts.items()} == wanted
        case CommitReservation():
            assert promise.state == "committed"
        case ReleaseReservation():
            assert promise.state in {"released", "expired"}
        case ExtendReservation():
            assert promise.state == "active"


def _assert_is_done(asked: Asked, events: list[Event], before: Model) -> None:
    """Hold the events of a command against what it asks, given what was so before."""
    recorded: list[Moved] = []
    for event in events:
        fact = event.WhichOneof("fact") or ""
        content = getattr(event, fact)
        units = content.delta if fact == "stock_adjusted" else content.quantity
        recorded.append((fact, (event.product_id, event.store_id), units))
    assert recorded == _wanted(asked, before), f"{asked.request_id}: {asked.command}"
    end = getattr(asked.command, "expiration", None)
    if isinstance(end, Ttl):
        content = getattr(events[0], events[0].WhichOneof("fact") or "")
        until = events[0].record_time.ToMicroseconds() + end.span
        assert content.expire_time.ToMicroseconds() == until, "it ends when it should"


def _wanted(asked: Asked, before: Model) -> list[Moved]:
    match asked.command:
        case AddStock(stock_id, units):
            return [("stock_added", stock_id, units)]
        case RemoveStock(stock_id, units):
            return [("stock_removed", stock_id, units)]
        case AdjustStock(stock_id, ChangeBy(delta)):
            return [("stock_adjusted", stock_id, delta)]
        case AdjustStock(stock_id, CountedAs(counted)):
            shelf = before.shelves.get(stock_id)
            return [("stock_adjusted", stock_id, counted - (shelf.on_hand if shelf else 0))]
        case ReserveStock(cart=cart):
            return [("stock_reserved", stock_id, units) for stock_id, units in cart.items()]
        case CommitReservation(name, cart) | ReleaseReservation(name, cart):
            commits = isinstance(asked.command, CommitReservation)
            fact = "reservation_committed" if commits else "reservation_released"
            parts = before.promises[name].parts
            held = {key: part.held for key, part in parts.items() if part.held}
            return [(fact, key, units) for key, units in (cart or held).items()]
        case ExtendReservation(name):
            parts = before.promises[name].parts
            return [
                ("reservation_extended", k, part.held) for k, part in parts.items() if part.held
            ]
        case _:
            raise AssertionError("a command that cannot be decided is in the log")


def _assert_is_read(read: Read, model: Model) -> None:
    match read.what, read.shown:
        case "stock", stock:
            assert stock is None or isinstance(stock, Inventory)
            assert_is_shown(stock, model, read.key)  # type: ignore[arg-type]
        case "stocks", dict() as stocks:
            for stock_id in STOCKS:
                assert_is_shown(stocks.get(stock_id), model, stock_id)
        case "reservation", reservation:
            assert_is_kept(reservation, model.promises[str(read.key)])  # type: ignore[arg-type]
        case "no reservation", _:
            assert str(read.key) not in model.promises
        case "product", product:
            shelves = [shelf for key, shelf in model.shelves.items() if key[0] == read.key]
            levels = [Levels(shelf.on_hand, shelf.reserved) for shelf in shelves]
            for name in ("on_hand", "reserved", "available", "shortfall"):
                assert getattr(product, name) == sum(getattr(level, name) for level in levels)
