"""Commands while a change of a policy walks to its stocks.

A policy of all stocks is set while callers sell. The change is recorded at once, and reaches the
stocks in steps between the batches of commands.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import grpc.aio

from inventory_grpc_protos.v1.admin_pb2 import GetServerInfoRequest
from inventory_grpc_protos.v1.admin_pb2_grpc import InventoryAdminStub
from inventory_grpc_protos.v1.commands_pb2 import SetPolicyRequest
from inventory_grpc_protos.v1.commands_pb2_grpc import InventoryCommandsStub
from inventory_grpc_protos.v1.policies_pb2 import Policy
from scripts.bench import goods
from scripts.bench.figures import BenchmarkFailed, Group, Sample, Series
from scripts.bench.load import drive
from scripts.bench.measuring import WARM_SECONDS, Bench, Case, fill, sample
from scripts.bench.servers import Server, inventory_server
from scripts.bench.traffic import ENOUGH, Shop, deliveries

STOCKS: Final = 100_000
CALLERS: Final = 16
SECONDS: Final = 10.0
"""The time for which the callers sell in each phase; the walk takes longer."""

MOST_MS: Final = 100.0
LOOK_EVERY_SECONDS: Final = 0.5
WALK_SECONDS: Final = 600.0


def case(bench: Bench) -> Case:
    before = Series("ReserveStock before the change", "calls/s")
    meanwhile = Series("ReserveStock while it walks", "calls/s").beside(before)
    after = Series("ReserveStock after it", "calls/s").beside(before)
    p99 = Series("p99 while it walks", "ms", most=MOST_MS)
    took = Series("the walk", "s")
    file, stocks = bench.folder / "walks.db", goods.made_up(STOCKS)

    async def measure() -> None:
        with inventory_server(file) as server:
            await fill(server, deliveries(stocks, "begin", ENOUGH), STOCKS, bench.progress)
            async with _channel(server) as channel:
                await _sell(server, before)
                begun = asyncio.get_running_loop().time()
                await InventoryCommandsStub(channel).SetPolicy(
                    SetPolicyRequest(policy=Policy(safety_stock=1))
                )
                await _sell(server, meanwhile)
                if not await _unsettled(channel):
                    raise BenchmarkFailed("the walk ended before it was measured")
                async with asyncio.timeout(WALK_SECONDS):
                    while await _unsettled(channel):  # noqa: ASYNC110  the server tells nobody
                        await asyncio.sleep(LOOK_EVERY_SECONDS)
                took.samples.append(Sample(asyncio.get_running_loop().time() - begun))
                await _sell(server, after)
        p99.samples.append(Sample(meanwhile.samples[-1].p99_ms or 0))

    async def _sell(server: Server, series: Series) -> None:
        used = server.cpu_seconds()
        load = await drive(
            server.addresses,
            Shop(stocks).reserve_anywhere,
            callers=CALLERS,
            warm_seconds=WARM_SECONDS,
            seconds=SECONDS,
        )
        series.samples.append(sample(load, server, used))

    group = Group("walks", [before, meanwhile, after, p99, took])
    return Case(group, measure, 1)


@asynccontextmanager
async def _channel(server: Server) -> AsyncIterator[grpc.aio.Channel]:
    options = [("grpc.enable_http_proxy", 0)]
    async with grpc.aio.insecure_channel(server.address, options) as channel:
        yield channel


async def _unsettled(channel: grpc.aio.Channel) -> int:
    info = await InventoryAdminStub(channel).GetServerInfo(GetServerInfoRequest())
    return info.unsettled_changes
