"""A shop over any store, in which nothing is filled or expired unless a test does it."""

from collections.abc import Sequence

import pytest

from inventory_grpc.application.outcomes import Outcome
from inventory_grpc.application.queries.at_risk import AtRiskQuery
from inventory_grpc.domain.book import Command
from inventory_grpc.domain.levels import Levels
from inventory_grpc.domain.refusals import InsufficientStock
from inventory_grpc.domain.reservation import Reservation
from inventory_grpc.domain.reservation_facts import BackorderFilled
from inventory_grpc.domain.values import ReservationId, StockId
from tests.support.history import reservation_in, stock_in
from tests.support.scribe import Scribe, events_of
from tests.support.stores import Store
from tests.support.world import KETTLES


class Shop:
    """Each command is a transaction of its own, and finds its state folded anew."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.scribe = Scribe(store)
        self._filled = 0

    async def do(self, *commands: Command) -> Outcome:
        return await self.scribe.record(*commands)

    async def levels(self, stock_id: StockId = KETTLES) -> Levels:
        return (await self.store.storage.observe(lambda t: stock_in(t, stock_id))).levels

    async def numbers(self, stock_id: StockId = KETTLES) -> tuple[int, ...]:
        """Return on hand, reserved, available, backordered, backorderable and shortfall."""
        levels = await self.levels(stock_id)
        return (
            levels.on_hand,
            levels.reserved,
            levels.available,
            levels.backordered,
            levels.backorderable,
            levels.shortfall,
        )

    async def refused(self, command: Command) -> tuple[int, int]:
        """Check that *command* is refused for lack of units; return how many, and of how many."""
        before = await self.store.event_log.head()
        with pytest.raises(InsufficientStock) as refused:
            await self.do(command)
        [line] = refused.value.lines
        assert await self.store.event_log.head() == before
        return line.asked, line.available

    async def reservation(self, name: str) -> Reservation:
        found = await self.store.storage.observe(lambda t: reservation_in(t, ReservationId(name)))
        assert found is not None
        return found

    async def line(self, name: str, stock_id: StockId = KETTLES) -> tuple[int, int]:
        """Return the units that a line holds, and how many of them wait."""
        line = (await self.reservation(name)).lines[stock_id]
        return line.held, line.backordered

    async def fill(self) -> Sequence[tuple[str, int]]:
        """Record what is due, and see that no level changes; return `fills`."""
        before = await self.levels()
        await self.scribe.fill_due()
        after = await self.levels()
        assert after.shown == before.shown
        assert after.fills_due == 0
        return await self.fills()

    async def fills(self) -> Sequence[tuple[str, int]]:
        """Return the fills that were recorded since this was asked last, in order."""
        facts = [
            event.fact
            for event in await events_of(self.store)
            if isinstance(event.fact, BackorderFilled)
        ]
        new, self._filled = facts[self._filled :], len(facts)
        return [(fact.reservation_id, fact.quantity) for fact in new]

    async def at_risk(self) -> Sequence[tuple[str, int]]:
        rows = (await self.store.views.latest.read(AtRiskQuery())).value.rows
        return [(row.reservation_id, row.at_risk) for row in rows]
