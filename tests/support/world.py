"""The example world: kettles in Lisbon, Ana, Ben, noon."""

from collections.abc import Iterable, Mapping
from typing import Final

from inventory_grpc.domain.amending import AmendReservation
from inventory_grpc.domain.policy import Policy, PolicyScope, SetPolicy
from inventory_grpc.domain.product import NO_ATTRIBUTES, ProductKey, PutProduct, RetireProduct
from inventory_grpc.domain.promises import PLAINLY, Asked
from inventory_grpc.domain.reservation_commands import (
    CommitReservation,
    ExtendReservation,
    ReleaseReservation,
    ReserveStock,
)
from inventory_grpc.domain.reversal import ReverseEvent
from inventory_grpc.domain.stock_commands import (
    AddStock,
    AdjustStock,
    ChangeBy,
    CountedAs,
    FenceStock,
    MoveStock,
    RemoveStock,
)
from inventory_grpc.domain.store import PutStore, RetireStore, StoreKey, StoreKind
from inventory_grpc.domain.values import (
    Cart,
    Channel,
    CustomerId,
    EventAt,
    Expiration,
    Instant,
    OrderId,
    ProductId,
    Quantity,
    ReservationId,
    Span,
    StockId,
    StoreId,
    Ttl,
    UnitState,
    summed,
)

SECOND: Final = Span(1_000_000)
MINUTE: Final = Span(60 * SECOND)
DAY: Final = Span(24 * 60 * MINUTE)

NOON: Final = Instant(1_772_452_800 * SECOND)
"""2026-03-02 12:00 UTC."""

HALF_AN_HOUR: Final = Ttl(Span(30 * MINUTE))


def stock(product: str, store: str) -> StockId:
    return StockId(ProductId(product), StoreId(store))


KETTLE: Final = ProductKey(ProductId("kettle"))
LISBON: Final = StoreKey(StoreId("lisbon"))
KETTLES: Final = stock("kettle", "lisbon")
TOASTERS: Final = stock("toaster", "lisbon")
PORTO_KETTLES: Final = stock("kettle", "porto")

ANA: Final = CustomerId("ana")
BEN: Final = CustomerId("ben")
ORDER: Final = OrderId("order-1")
R1: Final = ReservationId("r1")
R2: Final = ReservationId("r2")

Wanted = int | Mapping[StockId, int]
"""So many kettles in Lisbon, or so many of each."""


def later(span: int, than: Instant = NOON) -> Instant:
    return Instant(than + span)


def cart(wanted: Wanted) -> Cart:
    """Return a cart; 0 is an empty one."""
    lines = wanted if isinstance(wanted, Mapping) else {KETTLES: wanted} if wanted else {}
    return summed((stock_id, Quantity(units)) for stock_id, units in lines.items())


DAMAGED: Final = UnitState("damaged")
RETURNED: Final = UnitState("returned")

VIP: Final = Channel("vip")
WEB: Final = Channel("web")


def add(
    units: int,
    to: StockId = KETTLES,
    *,
    expected: int | None = None,
    state: UnitState | None = None,
) -> AddStock:
    return AddStock(to, Quantity(units), expected, state)


def move(
    units: int,
    of: StockId = KETTLES,
    *,
    out_of: UnitState | None = None,
    into: UnitState | None = None,
    expected: int | None = None,
) -> MoveStock:
    return MoveStock(of, Quantity(units), out_of, into, expected)


def remove(
    units: int,
    of: StockId = KETTLES,
    *,
    expected: int | None = None,
    state: UnitState | None = None,
    channel: Channel | None = None,
) -> RemoveStock:
    return RemoveStock(of, Quantity(units), expected, state, channel)


def fence(
    delta: int,
    of: StockId = KETTLES,
    *,
    channel: Channel = VIP,
    expected: int | None = None,
) -> FenceStock:
    return FenceStock(of, channel, delta, expected)


def change_by(
    delta: int,
    of: StockId = KETTLES,
    *,
    expected: int | None = None,
    state: UnitState | None = None,
) -> AdjustStock:
    return AdjustStock(of, ChangeBy(delta), expected, state)


def count(
    on_hand: int,
    of: StockId = KETTLES,
    *,
    expected: int | None = None,
    expected_on_hand: int | None = None,
    state: UnitState | None = None,
) -> AdjustStock:
    """Return a count, which is unconditional if nothing is expected."""
    unconditional = expected is None and expected_on_hand is None
    return AdjustStock(of, CountedAs(on_hand, expected_on_hand, unconditional), expected, state)


def reverse(position: int) -> ReverseEvent:
    return ReverseEvent(EventAt(position))


def reserve(
    wanted: Wanted,
    name: str = R1,
    *,
    customer: CustomerId = ANA,
    order: OrderId | None = None,
    expiration: Expiration = HALF_AN_HOUR,
    asked: Asked = PLAINLY,
) -> ReserveStock:
    return ReserveStock(ReservationId(name), customer, order, cart(wanted), expiration, asked)


def commit(
    wanted: Wanted = 0, name: str = R1, *, order: OrderId | None = None, reacquire: bool = False
) -> CommitReservation:
    return CommitReservation(ReservationId(name), cart(wanted), order, reacquire)


def amend(wanted: Wanted, name: str = R1, *, in_stock_only: bool = False) -> AmendReservation:
    return AmendReservation(ReservationId(name), cart(wanted), in_stock_only)


def release(wanted: Wanted = 0, name: str = R1) -> ReleaseReservation:
    return ReleaseReservation(ReservationId(name), cart(wanted))


def extend(expiration: Expiration, name: str = R1) -> ExtendReservation:
    return ExtendReservation(ReservationId(name), expiration)


def put(
    product: str = "kettle",
    *,
    sku: str = "K-1",
    name: str = "Kettle",
    attributes: Mapping[str, str] = NO_ATTRIBUTES,
    expected: int | None = None,
) -> PutProduct:
    return PutProduct(ProductId(product), sku, name, attributes, expected)


def put_store(
    store: str = "lisbon",
    *,
    name: str = "Lisbon",
    kind: StoreKind = StoreKind.STORE,
    groups: Iterable[str] = (),
    expected: int | None = None,
) -> PutStore:
    return PutStore(StoreId(store), name, kind, tuple(sorted(groups)), expected)


def policy(
    product: str | None = None,
    store: str | None = None,
    *,
    expected: int | None = None,
    **values: int,
) -> SetPolicy:
    return SetPolicy(PolicyScope.of(product, store), Policy(**values), expected)


def retire_product(product: str = "kettle", *, restore: bool = False) -> RetireProduct:
    return RetireProduct(ProductId(product), restore)


def retire_store(store: str = "lisbon", *, restore: bool = False) -> RetireStore:
    return RetireStore(StoreId(store), restore)
