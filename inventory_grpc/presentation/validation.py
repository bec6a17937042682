"""Validates requests, and reports all violations of a request together."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final, Protocol, Self, TypeVar, cast

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from inventory_grpc.application.access import Caller
from inventory_grpc.application.failures import PermissionDenied
from inventory_grpc.domain.policy import PolicyScope
from inventory_grpc.domain.refusals import InvalidValue, Violation
from inventory_grpc.domain.store import StoreKey
from inventory_grpc.domain.values import (
    MAX_LINES,
    MISSING,
    NUL,
    Cart,
    Instant,
    Malformed,
    Name,
    ProductId,
    Quantity,
    Span,
    StockId,
    StoreId,
    Text,
    is_name,
    new,
    summed,
)

V = TypeVar("V")
T = TypeVar("T")

MAX_VALUES: Final = 100
"""Values in one list of a filter."""

MAX_VIOLATIONS: Final = 20
"""The most violations in a status, whose size is limited."""

KNOWN_NAMES: Final = 50_000
"""Cached ids of products, and of stores, which need not be validated again."""

KNOWN_QUANTITIES: Final = 1_000
"""Cached quantities."""

_FIRST_SECOND: Final = -62_135_596_800
_LAST_SECOND: Final = 253_402_300_799
_NANOS: Final = 999_999_999


class Key(Protocol):
    """A message that names a stock."""

    product_id: str
    store_id: str


class Line(Key, Protocol):
    """A message that names units of a stock."""

    quantity: int


class Validator:
    """Reads the requests of a caller; leaving the context raises a refusal of all violations.

    One context is for one request, and the next may follow it.

    Methods return a placeholder for an invalid value, which never leaves the context. Every store
    in a request passes through here, and is checked against the caller's scope.

    Raises:
        InvalidValue: the request has invalid values.
        PermissionDenied: the request is outside the caller's scope.
    """

    __slots__ = ("_denied", "_stores", "_violations", "caller", "command_index", "path")

    def __init__(self, caller: Caller) -> None:
        self.caller = caller
        self._violations: list[Violation] = []
        self._stores = caller.scope.stores
        self._denied: PermissionDenied | None = None
        self.path = ""
        """The place of the fields in the request: what precedes their names in violations."""
        self.command_index: int | None = None
        """The index of the command in its atomic batch."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.leave()

    def leave(self) -> None:
        """Raise the refusal of the request, if there is one, and be ready for the next request.

        It is what leaving the context does, for a hot path: a context takes as long again.
        """
        if self._violations or self._denied is not None:
            violations, denied = self._violations, self._denied
            self._violations, self._denied = [], None
            raise InvalidValue(violations) if violations else cast("PermissionDenied", denied)

    def violation(self, field: str, problem: str) -> None:
        """Record a violation, only the first one of each field."""
        field = self.path + field
        if len(self._violations) < MAX_VIOLATIONS and all(
            noted != field for noted, _ in self._violations
        ):
            self._violations.append(Violation(field, problem))

    def value(self, kind: Callable[[V], T], field: str, value: V) -> T:
        """Return *value* converted by *kind*."""
        try:
            taken = kind(value)
        except Malformed as error:
            self.violation(field, str(error))
            return cast("T", value)
        if self._stores is not None and isinstance(taken, StoreId | StoreKey | PolicyScope):
            store_id = taken if isinstance(taken, StoreId) else taken.store_id
            if store_id is not None:
                self._check_store(store_id)
        return taken

    def optional_value(self, kind: Callable[[str], T], field: str, value: str) -> T | None:
        """Return *value* converted by *kind*, or None if it is empty."""
        return self.value(kind, field, value) if value else None

    def name(self, field: str, value: str) -> None:
        """Validate an id that is used as a plain string."""
        if not is_name(value):
            self.value(Name, field, value)

    def text(self, field: str, value: str) -> str:
        """Return free text; a character has at most four bytes, so short text is not counted."""
        is_short = len(value) <= Text.MAX_BYTES // 4
        return value if is_short and NUL not in value else self.value(Text, field, value)

    def quantity(self, field: str, value: int) -> Quantity:
        try:
            return known_quantity(value)
        except Malformed as error:
            self.violation(field, str(error))
            return cast("Quantity", value)

    def stock_id(self, key: Key, path: str = "") -> StockId:
        """Return the stock id of *key*; *path* is its place in the request."""
        try:
            stock_id = known_stock(key.product_id, key.store_id)
        except Malformed:
            return StockId(
                self.value(ProductId, path + "product_id", key.product_id),
                self.value(StoreId, path + "store_id", key.store_id),
            )
        if self._stores is not None:
            self._check_store(stock_id.store_id)
        return stock_id

    def number(self, field: str, value: int, low: int, high: int | None = None) -> int:
        """Return *value*, which must be from *low* to *high*."""
        if value < low or (high is not None and value > high):
            bounds = f"{low:,} or more" if high is None else f"from {low:,} to {high:,}"
            self.violation(field, f"must be {bounds}, and is {value:,}")
        return value

    def expected_version(self, request: Any) -> int | None:  # noqa: ANN401  of any command with it
        if not request.HasField("expected_version"):
            return None
        return self.number("expected_version", request.expected_version, 0)

    def cart(self, lines: Sequence[Line], at_least: int = 0) -> Cart:
        """Return the cart of *lines*."""
        if not at_least <= len(lines) <= MAX_LINES:
            self.violation(
                "lines", f"{counted(len(lines))}; must be {at_least} to {MAX_LINES} lines"
            )
            return {}
        taken = []
        for index, line in enumerate(lines):
            try:
                stock_id = known_stock(line.product_id, line.store_id)
                quantity = known_quantity(line.quantity)
            except Malformed:
                path = f"lines[{index}]."
                stock_id = self.stock_id(line, path)
                quantity = self.quantity(path + "quantity", line.quantity)
                if len(self._violations) == MAX_VIOLATIONS:
                    return {}  # no more violations are reported
            if self._stores is not None:
                self._check_store(stock_id.store_id)
            taken.append((stock_id, quantity))
        try:
            return summed(taken)
        except Malformed:
            self._check_sums(taken)
            return {}

    def _check_sums(self, lines: Iterable[tuple[StockId, int]]) -> None:
        sums: dict[StockId, int] = {}
        for index, (stock_id, quantity) in enumerate(lines):
            if not 1 <= quantity <= Quantity.MAX:
                continue  # already reported
            sums[stock_id] = sums.get(stock_id, 0) + quantity
            if sums[stock_id] > Quantity.MAX:
                self.violation(
                    f"lines[{index}].quantity",
                    f"with the lines before it, exceeds {Quantity.MAX:,} units of the stock",
                )

    def values(self, kind: Callable[[str], T], field: str, values: Sequence[str]) -> frozenset[T]:
        """Return the values of a filter."""
        if len(values) > MAX_VALUES:
            self.violation(field, f"{counted(len(values))}; must be at most {MAX_VALUES} values")
            return frozenset()
        if not values:
            return frozenset()
        return frozenset(
            self.value(kind, f"{field}[{index}]", value) for index, value in enumerate(values)
        )

    def choices(
        self, field: str, numbers: Sequence[int], known: Mapping[Any, T], problem: str
    ) -> frozenset[T]:
        """Return the values of a filter that are numbers of an enum."""
        if len(numbers) > MAX_VALUES:
            self.violation(field, f"{counted(len(numbers))}; must be at most {MAX_VALUES} values")
        for index, number in enumerate(numbers[:MAX_VALUES]):
            if number not in known:
                self.violation(f"{field}[{index}]", problem)
        return frozenset(known[number] for number in numbers if number in known)

    def stores(self, field: str, values: Sequence[str]) -> frozenset[StoreId]:
        """Return the stores of a filter; an empty filter means all stores of the caller."""
        return self.values(StoreId, field, values) or self._stores or frozenset()

    def _check_store(self, store_id: StoreId) -> None:
        """Record *store_id* if it is outside the caller's restricted scope."""
        assert self._stores is not None
        if store_id not in self._stores:
            self._deny(PermissionDenied(store_id=store_id))

    def all_stores(self, method: str) -> None:
        """Require a caller with all stores, for a *method* that names none."""
        if self._stores is not None:
            self._deny(PermissionDenied(method, needs_all_stores=True))

    def _deny(self, refusal: PermissionDenied) -> None:
        """Record *refusal*, if it is the first one."""
        if self._denied is None:
            refusal.command_index = self.command_index
            self._denied = refusal

    def instant(self, field: str, time: Timestamp) -> Instant:
        """Return *time*, truncated to microseconds."""
        seconds, nanos = time.seconds, time.nanos
        if not (_FIRST_SECOND <= seconds <= _LAST_SECOND and 0 <= nanos <= _NANOS):
            self.violation(field, "must be a time from year 1 to 9999, nanos from 0 to 999,999,999")
        return Instant(seconds * 1_000_000 + nanos // 1_000)

    def span(self, field: str, length: Duration, low: Span, high: Span) -> Span:
        """Return *length*, truncated to microseconds, which must be from *low* to *high*."""
        seconds, nanos = length.seconds, length.nanos
        span = Span(seconds * 1_000_000 + nanos // 1_000)
        if not (low <= span <= high and 0 <= nanos <= _NANOS):
            self.violation(
                field, f"must be from {low // 1_000_000:,} to {high // 1_000_000:,} seconds"
            )
        return span


def counted(number: int) -> str:
    """Return the problem with a list of *number* items."""
    return f"has {number:,}" if number else MISSING


_known_product: Final = lru_cache(maxsize=KNOWN_NAMES)(ProductId)
_known_store: Final = lru_cache(maxsize=KNOWN_NAMES)(StoreId)


def known_stock(product_id: str, store_id: str) -> StockId:
    """Return the stock id of cached names; to validate them again takes twice as long.

    The stocks of many products in many stores have far fewer names than there are stocks.

    Raises:
        Malformed: one of them is no name.
    """
    return new(StockId, (_known_product(product_id), _known_store(store_id)))


known_quantity: Final = lru_cache(maxsize=KNOWN_QUANTITIES)(Quantity)
