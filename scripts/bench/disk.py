"""How many bytes does an event take, with the ids that callers like best?"""

import random
from collections.abc import Iterator
from typing import Final
from uuid import UUID

from inventory_grpc_protos.v1.commands_pb2 import AddStockRequest
from scripts.bench.figures import Group, Sample, Series
from scripts.bench.goods import Stock
from scripts.bench.growth import EVENTS_A_STOCK, size_of
from scripts.bench.measuring import Bench, Case, fill
from scripts.bench.servers import inventory_server
from scripts.bench.traffic import add_stock

EVENTS: Final = 50_000
MOST_BYTES: Final = 500


def case(bench: Bench) -> Case:
    series = Series("with UUIDs", "bytes/event", most=MOST_BYTES)

    async def measure() -> None:
        file = bench.folder / "uuids.db"
        with inventory_server(file) as server:
            await fill(server, _with_uuids(EVENTS), EVENTS, bench.tell)
        series.samples.append(Sample(size_of(file) / EVENTS))

    return Case(Group("disk", [series]), measure, 1)


def _with_uuids(events: int) -> Iterator[AddStockRequest]:
    chance = random.Random(6)

    def new_id() -> str:
        return str(UUID(int=chance.getrandbits(128), version=4))

    stores = [new_id() for _ in range(100)]
    stocks = [Stock(new_id(), chance.choice(stores)) for _ in range(events // EVENTS_A_STOCK)]
    return (add_stock(chance.choice(stocks), new_id()) for _ in range(events))
