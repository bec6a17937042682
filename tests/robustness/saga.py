"""A cart whose lines are in several logs, sold with nothing but the commands that callers have.

No log knows of the others. The payment decides: it is authorized or voided, once. Each part of the
cart is a reservation of its own, so that it ends by itself if nobody goes on.

    reserve each part, with a short time  ->  authorize  ->  extend each part to no end
                                          ->  commit each part  ->  capture

A refusal voids the payment and releases the parts. The coordinator keeps nothing: after it was
killed at any moment, `settle` of another one brings each cart to one end.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from enum import Enum
from functools import partial
from typing import Any, NamedTuple, TypeAlias

from inventory_grpc.client import (
    InsufficientStock,
    InventoryClient,
    Line,
    ReservationClosed,
    ReservationNotFound,
)

Step: TypeAlias = Callable[[Callable[[], Awaitable[Any]]], Awaitable[Any]]
"""Takes one step of a coordinator, which may be killed before it or after it."""


class Payment(Enum):
    """The state of a payment; the first two decisions exclude each other."""

    AUTHORIZED = "authorized"
    VOIDED = "voided"
    CAPTURED = "captured"


class Till:
    """A payment provider: each request names its cart, and is done once."""

    def __init__(self) -> None:
        self.payments: dict[str, Payment] = {}

    async def authorize(self, cart: str) -> Payment:
        return self.payments.setdefault(cart, Payment.AUTHORIZED)

    async def decline(self, cart: str) -> Payment:
        """Void the payment of a cart unless it was authorized before."""
        return self.payments.setdefault(cart, Payment.VOIDED)

    async def void(self, cart: str) -> Payment:
        assert self.payments[cart] is not Payment.CAPTURED
        self.payments[cart] = Payment.VOIDED
        return Payment.VOIDED

    async def capture(self, cart: str) -> None:
        assert self.payments[cart] is not Payment.VOIDED
        self.payments[cart] = Payment.CAPTURED

    async def unsettled(self) -> Sequence[str]:
        return [cart for cart, state in self.payments.items() if state is Payment.AUTHORIZED]


class Cart(NamedTuple):
    id: str
    customer_id: str
    parts: Mapping[str, Sequence[Line]]
    """The lines by the name of their log."""


class Coordinator:
    """Sells carts; each of its steps can be done again by another one."""

    def __init__(
        self, logs: Mapping[str, InventoryClient], till: Till, ttl: timedelta, step: Step
    ) -> None:
        self._logs = logs
        self._till = till
        self._ttl = ttl
        self._step = step

    async def sell(self, cart: Cart) -> None:
        """Sell the whole cart or nothing of it; the till says which."""
        decide = self._till.authorize
        for name in sorted(cart.parts):  # nobody waits with a hold, so there is no deadlock
            try:
                await self._reserve(cart, name)
            except InsufficientStock:
                decide = self._till.decline
                break
        await self._settle(cart.id, await self._step(partial(decide, cart.id)))

    async def settle(self) -> None:
        """Bring every cart that another coordinator has left to its end."""
        carts = dict.fromkeys(await self._till.unsettled())
        for client in self._logs.values():
            carts |= dict.fromkeys([cart async for cart in _active(client)])
        for cart in carts:
            await self._settle(cart, await self._step(partial(self._till.decline, cart)))

    async def _reserve(self, cart: Cart, name: str) -> None:
        reserve = partial(self._logs[name].reserve_stock, customer_id=cart.customer_id)
        part = _part(cart.id, name)
        lines = cart.parts[name]
        await self._step(partial(reserve, reservation_id=part, lines=lines, ttl=self._ttl))

    async def _settle(self, cart: str, payment: Payment) -> None:
        if payment is Payment.AUTHORIZED and not await self._keep(cart):
            payment = await self._step(partial(self._till.void, cart))
        if payment is Payment.VOIDED:
            await self._each(cart, InventoryClient.release_reservation)
        else:
            await self._each(cart, InventoryClient.commit_reservation)
            await self._step(partial(self._till.capture, cart))

    async def _keep(self, cart: str) -> bool:
        """Extend each part to no end; return False if one of them has ended.

        Parts are committed only after all have no end. So a committed part proves that the others
        can be committed.
        """
        for name, client in self._logs.items():
            extend = partial(client.extend_reservation, reservation_id=_part(cart, name))
            try:
                await self._step(partial(extend, never_expires=True))
            except ReservationNotFound:
                continue  # no line of the cart is in this log
            except ReservationClosed as closed:
                if closed.state != "COMMITTED":
                    return False
        return True

    async def _each(self, cart: str, command: Callable[..., Awaitable[object]]) -> None:
        """Do the same with each part that is still held."""
        for name, client in self._logs.items():
            with suppress(ReservationNotFound, ReservationClosed):
                await self._step(partial(command, client, reservation_id=_part(cart, name)))


def _part(cart: str, log: str) -> str:
    return f"{cart}/{log}"


async def _active(client: InventoryClient) -> AsyncIterator[str]:
    """Yield the carts of which a part is held."""
    token = ""
    while True:
        page = await client.list_reservations(states=["ACTIVE"], page_token=token)
        for reservation in page.reservations:
            yield reservation.reservation_id.partition("/")[0]
        token = page.next_page_token
        if not token:
            return
