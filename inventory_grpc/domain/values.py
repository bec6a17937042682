"""The words and numbers that may enter the domain."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import ClassVar, Final, NamedTuple, Self, TypeVar, dataclass_transform

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_NAME: Final = re.compile(r"[A-Za-z0-9._:/-]{1,128}")
_NOT_IN_NAMES: Final = re.compile(r"[^A-Za-z0-9._:/-]")

MISSING: Final = "is missing"
"""The problem of a field that is required and absent."""

MAX_LEVEL: Final = 10**15
"""The highest level a stock may reach."""

MAX_TOTAL: Final = 2**63 - 1
"""The highest sum over stores: an int64. 9,223 stores at the highest level fit; with more, the
sum is refused, never rounded."""

MAX_LINES: Final = 500
"""The longest cart. Every line is one event, and a command is recorded as a whole."""


T = TypeVar("T")


@dataclass_transform(frozen_default=True)
def immutable(kind: type[T]) -> type[T]:
    """Make *kind* a dataclass that the type checker keeps from being changed.

    One that is frozen at run time takes three times as long to make, and several are made for
    every event.
    """
    return dataclass(slots=True, unsafe_hash=True)(kind)


new: Final = tuple.__new__
"""`new(Levels, (5, 2))` is `Levels(5, 2)` in half the time, for what is made for every event."""


class Malformed(ValueError):
    """A value that is not of its type; the message says what is wrong with it."""


def is_name(value: str) -> bool:
    """Tell whether *value* can be an id."""
    return _NAME.fullmatch(value) is not None


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
        return f"has {place}; it may have A-Z a-z 0-9 . _ : - /"
    return f"has {len(value):,} characters; it may have 128"


class ProductId(Name):
    """What is counted."""

    __slots__ = ()


class StoreId(Name):
    """Where it is counted."""

    __slots__ = ()


class ReservationId(Name):
    """One promise to a customer."""

    __slots__ = ()


class CustomerId(Name):
    """Whom units are promised to."""

    __slots__ = ()


class OrderId(Name):
    """What units are promised for."""

    __slots__ = ()


class Quantity(int):
    """How many units one movement concerns: at least one.

    The upper bound is a fuse, not a business rule: a slip in a client must not be
    able to promise a warehouse, and sums of many movements must fit in an int64.
    """

    __slots__ = ()

    MAX: ClassVar[int] = 1_000_000_000

    def __new__(cls, value: int) -> Self:
        if not 1 <= value <= cls.MAX:
            found = f"{value:,}" if value else "0 or missing"
            raise Malformed(f"must be from 1 to {cls.MAX:,}, and is {found}")
        return super().__new__(cls, value)


class Instant(int):
    """A moment: microseconds since 1970-01-01 00:00 UTC, leap seconds not counted."""

    __slots__ = ()

    SECOND: ClassVar[int] = 1_000_000

    def isoformat(self) -> str:
        """Return it to the second, as people and programs read it."""
        moment = _EPOCH + timedelta(seconds=self // self.SECOND)
        return f"{moment:%Y-%m-%dT%H:%M:%S}Z"


class Span(int):
    """A length of time, in microseconds."""

    __slots__ = ()


class Text(str):
    """Free text from a caller: at most 512 bytes of UTF-8."""

    __slots__ = ()

    MAX_BYTES: ClassVar[int] = 512

    def __new__(cls, value: str) -> Self:
        if len(value) > cls.MAX_BYTES // 4 and len(value.encode()) > cls.MAX_BYTES:
            raise Malformed(f"must be at most {cls.MAX_BYTES} bytes of UTF-8")
        return super().__new__(cls, value)


class StockId(NamedTuple):
    """One product in one store: the thing that is counted and promised."""

    product_id: ProductId
    store_id: StoreId

    def __str__(self) -> str:
        return f"{self.product_id} in {self.store_id}"


Cart = Mapping[StockId, Quantity]
"""Units by stock, in order of first mention: one line a stock."""


def summed(lines: Iterable[tuple[StockId, Quantity]]) -> Cart:
    """Return the cart in which lines of the same stock are one.

    Two lines of three units of one stock ask for six: checking them one by one is
    how other systems sell the same unit twice.
    """
    cart: dict[StockId, Quantity] = {}
    for stock_id, quantity in lines:
        before = cart.get(stock_id)
        cart[stock_id] = quantity if before is None else Quantity(before + quantity)
    return cart


class Ttl(NamedTuple):
    """A hold that ends some time after it was asked for."""

    span: Span


class Until(NamedTuple):
    """A hold that ends at a moment the caller names."""

    expire_time: Instant


class Never(NamedTuple):
    """A hold that ends only when it is committed or released."""


MIN_TTL: Final = Span(1_000_000)
MAX_TTL: Final = Span(30 * 24 * 3600 * 1_000_000)

Expiration = Ttl | Until | Never
"""When a hold is over."""

DEFAULT_TTL: Final = Span(30 * 60 * 1_000_000)
"""How long a hold lasts whose request names no time, unless the server is set otherwise."""
