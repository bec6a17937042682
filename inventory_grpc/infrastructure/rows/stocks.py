"""Rows of stocks."""

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import starmap
from typing import Any, Final

from orjson import dumps, loads

from inventory_grpc.domain.levels import FenceUnits, Levels, Particulars, StateUnits, Terms
from inventory_grpc.domain.stock import Inventory
from inventory_grpc.domain.values import (
    Channel,
    Instant,
    ProductId,
    StockId,
    StoreId,
    UnitState,
    new,
)
from inventory_grpc.infrastructure.log.chain import NumberedEvent
from inventory_grpc.infrastructure.rows import bounds

Row = tuple[Any, ...]

OtherSums = tuple[tuple[StateUnits, ...], int, int, int, int, bool, bool, tuple[FenceUnits, ...]]

_ROW_BYTES: Final = 384
"""The size of a stock in a message, without its states and ring-fences."""
_PART_BYTES: Final = 16
"""That of a state or ring-fence, without its name."""


PLAIN: Final = "on_hand", "reserved", "version", "update_time", "available", "shortfall"
OTHERS: Final = "low_stock", "fills_due", "backordered", "particulars"
"""The columns after the stream number; the others are NULL for a stock without particulars."""


def rows_of(
    recorded: Sequence[NumberedEvent], *, positions: bool = False
) -> tuple[list[Row], list[Row]]:
    """Return the rows of stocks after their last events: those of plain stocks, and others.

    A plain row lacks the columns that are NULL for nearly all stocks. With *positions*, the
    stream number is followed by the position of the last event.
    """
    last = {stream: event for event, stream, _ in recorded if event.after is not None}
    plain, others = list[Row](), list[Row]()
    for stream, event in last.items():
        on_hand, reserved, particulars = after = event.after
        spare = on_hand - reserved
        keys = (stream, event.position) if positions else (stream,)
        row = (*keys, on_hand, reserved, event.version, event.record_time)
        if particulars is None:
            plain.append((*row, spare, None) if spare >= 0 else (*row, 0, -spare))
        else:
            flags = after.shortfall, after.low_stock, after.fills_due, after.backordered
            stored = dumps(particulars, default=list).decode()
            others.append((*row, after.available, *(flag or None for flag in flags), stored))
    return plain, others


def stock_of(row: Row) -> Inventory:
    """Return the stock in a row with product, store and the columns of `stock`."""
    product_id, store_id, *values = row
    return stock(StockId(ProductId(product_id), StoreId(store_id)), *values)


def page_of(stocks: Sequence[Inventory], limit: int) -> Sequence[Inventory]:
    """Return the first *limit* of *stocks*, or as many as fit into a message."""
    size = 0
    for number, stock in enumerate(stocks[:limit]):
        if size >= bounds.LISTED_BYTES:
            return stocks[:number]
        size += _ROW_BYTES
        if stock.levels.particulars is not None:
            parts = (*stock.levels.states, *stock.levels.fences)
            size += sum(_PART_BYTES + len(name) for name, _ in parts)
    return stocks[:limit]


def stock(  # noqa: PLR0913, PLR0917  the columns
    stock_id: StockId,
    on_hand: int,
    reserved: int,
    version: int,
    update_time: int,
    particulars: str | None,
) -> Inventory:
    """Return the stock in these columns."""
    levels = read_levels(on_hand, reserved, particulars)
    return new(Inventory, (stock_id, levels, version, Instant(update_time)))


def read_levels(on_hand: int, reserved: int, particulars: str | None) -> Levels:
    """Return the levels in these columns."""
    if particulars is None:
        return new(Levels, (on_hand, reserved, None))
    states, fences, waiting, terms, is_low, is_still_out = loads(particulars)
    read = Particulars(
        tuple(StateUnits(UnitState(state), units) for state, units in states),
        tuple(FenceUnits(Channel(channel), units) for channel, units in fences),
        waiting,
        Terms(*terms),
        is_low,
        is_still_out,
    )
    return Levels(on_hand, reserved, read)


def other_sums(rows: Iterable[Row]) -> OtherSums:
    """Return the sums of levels that few stocks have, in the order of `ShownLevels`.

    Each of *rows* has a number of stocks, and the levels of one of them. There are no flags.
    """
    states, fences, numbers = Counter[UnitState](), Counter[Channel](), [0, 0, 0, 0]
    for stocks, on_hand, reserved, particulars, *_ in rows:
        levels = read_levels(on_hand, reserved, particulars)
        states.update({state: stocks * units for state, units in levels.states})
        fences.update({channel: stocks * units for channel, units in levels.fences})
        each = levels.backordered, levels.backorderable, levels.ring_fenced, levels.safety_stock
        numbers = [total + stocks * units for total, units in zip(numbers, each, strict=True)]
    backordered, backorderable, ring_fenced, safety_stock = numbers
    by_state = tuple(starmap(StateUnits, sorted(states.items())))
    by_channel = tuple(starmap(FenceUnits, sorted(fences.items())))
    return (
        by_state,
        backordered,
        backorderable,
        ring_fenced,
        safety_stock,
        False,
        False,
        by_channel,
    )
