"""The facts of reservations: each is about one line, which is the stock of the event."""

from typing import Final

from inventory_grpc.domain.event import Fact
from inventory_grpc.domain.levels import FenceUnits, Moves, OtherMoves
from inventory_grpc.domain.values import (
    Channel,
    CustomerId,
    Instant,
    OrderId,
    ReservationId,
    immutable,
)


@immutable
class ReservationFact(Fact):
    """A fact about one line of a reservation."""

    reservation_id: ReservationId

    @property
    def subject(self) -> ReservationId:
        return self.reservation_id


@immutable
class StockReserved(ReservationFact):
    """Units were added to a line. `expire_time` is the first moment at which they do not count.

    `backordered` of the units wait for goods, and `fenced` came out of the fence of the channel.
    """

    customer_id: CustomerId
    order_id: OrderId | None
    quantity: int
    expire_time: Instant | None
    backordered: int = 0
    channel: Channel | None = None
    fenced: int = 0

    @property
    def moves(self) -> Moves:
        if self.backordered or self.fenced:
            return 0, self.quantity, _taken(self.backordered, self.channel, self.fenced)
        return 0, self.quantity, None


@immutable
class ReservationCommitted(ReservationFact):
    """`fenced` of the units had come out of the fence of the channel."""

    order_id: OrderId | None
    quantity: int
    channel: Channel | None = None
    fenced: int = 0

    @property
    def moves(self) -> Moves:
        return -self.quantity, -self.quantity, None


@immutable
class ReservationReacquired(ReservationFact):
    """Expired units were committed after all; `fenced` came out of the fence of the channel."""

    order_id: OrderId | None
    quantity: int
    channel: Channel | None = None
    fenced: int = 0

    @property
    def moves(self) -> Moves:
        others = _taken(0, self.channel, self.fenced) if self.fenced else None
        return -self.quantity, 0, others


@immutable
class GivenBack(ReservationFact):
    """Units were given back: `backordered` of them had waited, `fenced` return to the fence."""

    quantity: int
    backordered: int = 0
    channel: Channel | None = None
    fenced: int = 0

    @property
    def moves(self) -> Moves:
        if self.backordered or self.fenced:
            return 0, -self.quantity, _taken(-self.backordered, self.channel, -self.fenced)
        return 0, -self.quantity, None


@immutable
class ReservationReleased(GivenBack):
    """A caller gave units back."""


@immutable
class ReservationExpired(GivenBack):
    """The time of the held units was over."""


@immutable
class BackorderFilled(ReservationFact):
    """Goods have come in for units that waited."""

    quantity: int

    @property
    def moves(self) -> Moves:
        return 0, 0, OtherMoves(backordered=-self.quantity)


def _taken(backordered: int, channel: Channel | None, fenced: int) -> OtherMoves:
    """Return the moves of a promise that takes units out of a fence, or waits for goods."""
    fences = (FenceUnits(channel, -fenced),) if channel is not None and fenced else ()
    return OtherMoves(fences=fences, backordered=backordered)


@immutable
class ReservationExtended(ReservationFact):
    """`quantity` is the number of units that the line still held."""

    quantity: int
    expire_time: Instant | None


FACTS: Final = (
    StockReserved,
    ReservationCommitted,
    ReservationReacquired,
    ReservationReleased,
    ReservationExpired,
    ReservationExtended,
    BackorderFilled,
)
