"""Callers that send requests until each is answered, and what the log must have of them."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from inventory_grpc.client import InventoryClient
from tests.support.opened import checked, events
from tests.support.waiting import eventually

CALLERS: Final = 8
EACH: Final = 40
"""Requests of a caller."""

CALL_SECONDS: Final = 60.0
PATIENCE_SECONDS: Final = 60.0


@dataclass
class Requests:
    """Deliveries of a kettle, each under a request id, and the positions that were answered."""

    positions: dict[str, int] = field(default_factory=dict)

    async def send(self, clients: Sequence[InventoryClient], trouble: Callable[[], object]) -> None:
        """Send them all, and make *trouble* when a third is answered."""
        async with asyncio.TaskGroup() as group:
            for caller in range(CALLERS):
                group.create_task(self._call(caller, clients[caller % len(clients)]))
            await eventually(lambda: len(self.positions) > CALLERS * EACH // 3, PATIENCE_SECONDS)
            await asyncio.to_thread(trouble)

    async def _call(self, caller: int, client: InventoryClient) -> None:
        for number in range(EACH):
            name = f"{caller}-{number}"
            self.positions[name] = (await deliver(client, name))[0]

    def check(self, database: str) -> None:
        """See that each is in the log once, where its answer said, and all tables agree."""
        found = {event.request_id: event.position for event in events(database)}
        assert found == self.positions
        assert len(found) == CALLERS * EACH
        assert checked(database).position == len(found)


async def deliver(client: InventoryClient, name: str) -> tuple[int, bool]:
    """Add a kettle under a request id; return the position, and whether it was there before."""
    answer = await client.add_stock(
        product_id="kettle", store_id="lisbon", quantity=1, request_id=name, timeout=CALL_SECONDS
    )
    return answer.position, answer.replayed
