"""A short way to record the commonest commands: units of a plain stock come in or go out.

`Batch` and `Workbook` define the events and the answers; here those of a row of commands are made
in one loop, without the steps between. Anything odd is left to them. Measured in turns, a command
of a bulk batch is decided in 2.7 instead of 6.3 µs, and a delivery to a new stock takes 0.82 of the
processor time in all.
"""

from collections.abc import Iterable
from typing import Any, Final

from inventory_grpc.application.access import EVERYWHERE
from inventory_grpc.application.ledger.needs import ReadData
from inventory_grpc.application.ledger.submission import Submission
from inventory_grpc.application.ledger.workbook import Workbook
from inventory_grpc.application.outcomes import Answered, Outcome, RequestKey
from inventory_grpc.domain.alerts import NO_ALERTS, alerts_between
from inventory_grpc.domain.event import Event
from inventory_grpc.domain.levels import Levels
from inventory_grpc.domain.refusals import Refusal
from inventory_grpc.domain.stock import Inventory
from inventory_grpc.domain.stock_commands import AddStock, RemoveStock
from inventory_grpc.domain.values import Instant, new

PLAIN: Final = frozenset({AddStock, RemoveStock})

FIRST_ALERTS: Final = alerts_between(Levels(0, 0), Levels(1, 0), 1)
"""The alerts of the first event of a stock, whatever comes in."""

_UNREAD: Final = Answered(b"", 0, None, Instant(0))
"""Stands for a request that was not looked up yet."""


def answer_plain(
    book: Workbook,
    read: ReadData,
    submissions: Iterable[Submission],
    answers: list[Outcome | Refusal],
    remembered: list[tuple[RequestKey, Answered]],
) -> int:
    """Answer *submissions* up to the first that is not plain; return how many.

    Call it only while no hold is overdue and no policy is set.
    """
    states, record, now, position = book.states, book.recorded.append, book.now, book.head
    answered, replays = read.answered, read.replays
    command: Any
    for command, cause, key, fingerprint, scope, is_dry in submissions:
        if type(command) not in PLAIN or is_dry or scope is not EVERYWHERE:
            break
        if key is not None and answered.get(key, _UNREAD) is not None:
            break
        stock = states.get(command.stock_id)
        if stock is None:
            break
        stock_id, (on_hand, reserved, particulars), version, _ = stock
        if particulars is not None or (on_hand <= reserved if version else book.needs_catalogue):
            break
        decided = command.on_plain(on_hand - reserved, on_hand)
        if decided is None:
            break
        fact, moved = decided
        alerts = NO_ALERTS if version else FIRST_ALERTS
        position, version = position + 1, version + 1
        levels = new(Levels, (on_hand + moved, reserved, None))
        after = states[stock_id] = new(Inventory, (stock_id, levels, version, now))
        values = (position, position, stock_id, version, now, cause, fact, levels, alerts)
        record(new(Event, values))
        outcome = new(Outcome, (position, [after], [], False, ()))
        answers.append(outcome)
        if key is not None:
            replays[position] = outcome
            first = answered[key] = new(Answered, (fingerprint, position, None, now))
            remembered.append((key, first))
    count, book.head = position - book.head, position
    return count
