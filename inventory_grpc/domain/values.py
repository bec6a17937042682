"""The value types of the domain, and their bounds."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import IntEnum
from typing import ClassVar, Final, NamedTuple, Self, TypeVar, dataclass_transform

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_NAME: Final = re.compile(r"[A-Za-z0-9._:/-]{1,128}")
_NOT_IN_NAMES: Final = re.compile(r"[^A-Za-z0-9._:/-]")

MISSING: Final = "is missing"
"""The problem with a required field that is absent."""

MAX_LEVEL: Final = 10**15
"""The maximum of a level of one stock."""

MAX_TOTAL: Final = 2**63 - 1
"""The maximum of a sum over stores, an int64. The sum of 9,223 stores at `MAX_LEVEL` fits; a
larger one is refused, never rounded."""

MAX_FENCES: Final = 20
"""Channels for which units of one stock can be set aside."""

MAX_LINES: Final = 500
"""Lines of a cart. Every line is one event, and a command is recorded as a whole."""

T = TypeVar("T")


@dataclass_transform(frozen_default=True)
def immutable(kind: type[T]) -> type[T]:
    """Make *kind* a dataclass that the type checker treats as frozen.

    Instances frozen at run time take three times as long to make, and each event needs several.
    """
    return dataclass(slots=True, unsafe_hash=True)(kind)


new: Final = tuple.__new__
"""`new(Levels, (5, 2))` equals `Levels(5, 2)` and takes half as long; for hot paths."""


class Malformed(ValueError):
    """A value is malformed; the message names the problem."""


is_name: Final = _NAME.fullmatch
"""`is_name(value)` is true if *value* is valid as an id."""


class Name(str):
    """An id minted outside this service: 1 to 128 letters, digits, ``. _ : - /``."""

    __slots__ = ()

    def __new__(cls, value: str) -> Self:
        if not _NAME.fullmatch(value):
            raise Malformed(_problem_of_name(value))
        return super().__new__(cls, value)


def _problem_of_name(value: str) -> str:
    if not value:
        return MISSING
    if found := _NOT_IN_NAMES.search(value):
        place = f"{found[0]!a} as character {found.start() + 1:,}"
        return f"has {place}; allowed are A-Z a-z 0-9 . _ : - /"
    return f"has {len(value):,} characters; at most 128 are allowed"


class ProductId(Name):
    __slots__ = ()


class StoreId(Name):
    __slots__ = ()


class ReservationId(Name):
    __slots__ = ()


class CustomerId(Name):
    __slots__ = ()


class OrderId(Name):
    __slots__ = ()


class Channel(Name):
    """A way of selling, such as `web`, for which units can be set aside."""

    __slots__ = ()


class UnitState(Name):
    """A state of units on hand. Only sellable units can be reserved."""

    __slots__ = ()


class UnknownState(UnitState):
    """A state that the settings of the server do not name; units can only leave it."""

    __slots__ = ()


class EntryState(IntEnum):
    """The state of a product or store of the catalogue; the numbers are stored."""

    ACTIVE = 0
    RETIRED = 2
    """Nothing new comes in, and nothing new is promised."""


SELLABLE: Final = UnitState("sellable")

BUILT_IN_STATES: Final = frozenset(
    {SELLABLE, *map(UnitState, ("damaged", "quarantine", "quality_control", "returned"))}
)
"""The states of every server; its settings may name others."""

MAX_OWN_STATES: Final = 15
"""States that the settings may name."""


def own_states(text: str) -> frozenset[UnitState]:
    """Return the states that the settings name, separated by commas."""
    names = [name.strip() for name in text.split(",")] if text.strip() else []
    states = frozenset(map(UnitState, names))
    if built_in := sorted(states & BUILT_IN_STATES):
        raise Malformed(f"{built_in[0]} is built in")
    if len(states) > MAX_OWN_STATES:
        raise Malformed(f"has {len(states):,} states; at most {MAX_OWN_STATES} are allowed")
    return states


class Quantity(int):
    """The units of one change: at least one.

    The upper bound is no business rule. It limits the damage of a client's mistake, and keeps
    sums of many changes within an int64.
    """

    __slots__ = ()

    MAX: ClassVar[int] = 1_000_000_000

    def __new__(cls, value: int) -> Self:
        if not 1 <= value <= cls.MAX:
            found = f"{value:,}" if value else "0 or missing"
            raise Malformed(f"must be from 1 to {cls.MAX:,}, and is {found}")
        return super().__new__(cls, value)


class Instant(int):
    """A time in microseconds since 1970-01-01 00:00 UTC, without leap seconds."""

    __slots__ = ()

    SECOND: ClassVar[int] = 1_000_000

    def isoformat(self) -> str:
        """Return the time in ISO 8601, rounded down to seconds."""
        moment = _EPOCH + timedelta(seconds=self // self.SECOND)
        return f"{moment:%Y-%m-%dT%H:%M:%S}Z"


class Span(int):
    """A duration in microseconds."""

    __slots__ = ()


NUL: Final = "\0"


class Text(str):
    """Free text from a caller: at most 512 bytes of UTF-8, and no U+0000.

    PostgreSQL cannot store that character, and a log may move there.
    """

    __slots__ = ()

    MAX_BYTES: ClassVar[int] = 512

    def __new__(cls, value: str) -> Self:
        if len(value) > cls.MAX_BYTES // 4 and len(value.encode()) > cls.MAX_BYTES:
            raise Malformed(f"must be at most {cls.MAX_BYTES} bytes of UTF-8")
        if NUL in value:
            raise Malformed("must not contain the character U+0000")
        return super().__new__(cls, value)


class StockId(NamedTuple):
    """One product in one store."""

    product_id: ProductId
    store_id: StoreId

    def __str__(self) -> str:
        return f"{self.product_id} in {self.store_id}"


@immutable
class EventAt:
    """The key of the event at one position of the log."""

    position: int

    def __str__(self) -> str:
        return f"event {self.position}"


Cart = Mapping[StockId, Quantity]
"""Units by stock, in the order of the request: one line for each stock."""


def summed(lines: Iterable[tuple[StockId, Quantity]]) -> Cart:
    """Return a cart in which lines of the same stock are added up.

    Two lines of three units ask for six. To check each line alone would oversell the stock.
    """
    cart: dict[StockId, Quantity] = {}
    for stock_id, quantity in lines:
        before = cart.get(stock_id)
        cart[stock_id] = quantity if before is None else Quantity(before + quantity)
    return cart


class Ttl(NamedTuple):
    """A hold expires this long after the command is recorded."""

    span: Span


class Until(NamedTuple):
    """A hold expires at a time that the caller names."""

    expire_time: Instant


class Never(NamedTuple):
    """A hold never expires; it ends when it is committed or released."""


MIN_TTL: Final = Span(1_000_000)
MAX_TTL: Final = Span(30 * 24 * 3600 * 1_000_000)

Expiration = Ttl | Until | Never

DEFAULT_TTL: Final = Span(30 * 60 * 1_000_000)
"""The default duration of a hold; a setting of the server overrides it."""
