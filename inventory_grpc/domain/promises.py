"""The promises for a cart: from stock, out of a fence, or as backordered."""

from collections.abc import Mapping
from enum import Enum
from typing import NamedTuple

from inventory_grpc.domain.book import Book
from inventory_grpc.domain.catalogue import check_not_retired
from inventory_grpc.domain.levels import Levels
from inventory_grpc.domain.refusals import InsufficientStock, LevelTooHigh, ShortLine
from inventory_grpc.domain.values import MAX_LEVEL, Channel, StockId, new


class Mode(Enum):
    """The treatment of a cart of which not everything can be had."""

    ALL_OR_NOTHING = 0
    PARTIAL_LINES = 1
    """The lines that can be met whole."""
    PARTIAL_QUANTITY = 2
    """Of each line what can be had."""


class Promise(NamedTuple):
    """The units of one line that are promised; some wait for goods, some come out of a fence."""

    quantity: int
    backordered: int
    fenced: int


class Asked(NamedTuple):
    """The wishes of a reservation, beside its units."""

    channel: Channel | None = None
    in_stock_only: bool = False
    """Whether no unit may wait for goods."""
    mode: Mode = Mode.ALL_OR_NOTHING


PLAINLY: Asked = Asked()


def promises(
    book: Book, units: Mapping[StockId, int], asked: Asked, held: Mapping[StockId, int]
) -> Mapping[StockId, Promise]:
    """Return the promises of *units* by stock, without lines that get nothing.

    A reservation that already holds units of a stock has them *held* beside, which is said in a
    refusal. Overdue holds are let go before a unit is refused or has to wait.

    Raises:
        Retired: not everything can be had, of the first line that is retired.
        InsufficientStock: not everything can be had or, in a partial mode, nothing at all.
        LevelTooHigh: more would be reserved than can be counted.
    """
    channel, in_stock_only, mode = asked
    found: dict[StockId, Promise] = {}
    short: list[ShortLine] = []
    lacking: dict[StockId, int] = {}
    for stock_id, quantity in units.items():
        levels: Levels = book.get(stock_id).levels
        own = levels.own(channel)
        if quantity <= own:
            fenced = 0 if channel is None else min(quantity, levels.fence(channel))
            found[stock_id] = new(Promise, (quantity, 0, fenced))
            continue
        lacking[stock_id] = quantity
        if mode is Mode.ALL_OR_NOTHING:
            check_not_retired(stock_id, levels)
        granted = min(quantity, own if in_stock_only else own + levels.backorderable)
        if granted < quantity:
            there = held.get(stock_id, 0)
            short.append(ShortLine(stock_id, there + quantity, there + granted))
            if mode is not Mode.PARTIAL_QUANTITY:
                continue
        if granted:
            waiting = max(0, granted - own)
            found[stock_id] = Promise(granted, waiting, min(granted, own, levels.fence(channel)))
    if lacking:
        book.let_go_overdue(lacking)
        if short and (mode is Mode.ALL_OR_NOTHING or not found):
            raise InsufficientStock(short)
    if lacking or channel is not None:
        _check_reserved(book, found)
    return found


def _check_reserved(book: Book, found: Mapping[StockId, Promise]) -> None:
    """Refuse too many reserved units.

    They can be more than are on hand where some wait, which a fence does not wait for.
    """
    for stock_id, (units, backordered, fenced) in found.items():
        if backordered or fenced:
            reserved = book.get(stock_id).levels.reserved + units
            if reserved > MAX_LEVEL:
                raise LevelTooHigh(stock_id, reserved, "reserved")
