"""A short way to record the commonest commands: units of a plain stock come in or go out.

`decide` and `Workbook.record` define the event and the answer; here they are made at once, without
the steps between. Anything odd is left to those two. Measured in turns: a bulk batch is decided in
5.4 instead of 8.4 µs a command.
"""

from typing import Final

from inventory_grpc.application.ledger.workbook import Workbook
from inventory_grpc.application.outcomes import Outcome
from inventory_grpc.domain.alerts import NO_ALERTS
from inventory_grpc.domain.event import Cause, Event
from inventory_grpc.domain.levels import Levels
from inventory_grpc.domain.stock import Inventory
from inventory_grpc.domain.stock_commands import AddStock, RemoveStock
from inventory_grpc.domain.values import new

PLAIN: Final = frozenset({AddStock, RemoveStock})


def record_plain(book: Workbook, command: AddStock | RemoveStock, cause: Cause) -> Outcome | None:
    """Record a plain command, and return its outcome; for any other, return None.

    Call it only while no hold is overdue and no policy is set.
    """
    stock = book.states.get(command.stock_id)
    if stock is None:
        return None
    stock_id, (on_hand, reserved, particulars), version, _ = stock
    if particulars is not None or not version or on_hand <= reserved:
        return None
    fact = command.on_plain(on_hand - reserved, on_hand)
    if fact is None:
        return None
    moved, _, _ = fact.moves
    position, now, version = book.head + 1, book.now, version + 1
    levels = new(Levels, (on_hand + moved, reserved, None))
    after = book.states[stock_id] = new(Inventory, (stock_id, levels, version, now))
    values = (position, position, stock_id, version, now, cause, fact, levels, NO_ALERTS)
    book.recorded.append(new(Event, values))
    book.head = position
    return new(Outcome, (position, [after], [], False, ()))
