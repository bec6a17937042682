"""The run of a replay, from the first delivery to the last comparison."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from inventory_grpc.client import InventoryClient, Line
from scripts.replay import check
from scripts.replay.findings import Findings
from scripts.replay.plan import Fate, Plan, Sending
from scripts.replay.report import Phase, Report
from scripts.replay.sales import Basket, Sales
from scripts.replay.stocking import Stocking
from scripts.replay.traffic import Traffic, by_callers


class NotEmpty(Exception):
    """The log has events already, so its sums cannot be compared."""


@dataclass(frozen=True)
class Replay:
    """One run against one server."""

    address: str
    database: Path | None
    """The database file of a local server."""

    client: InventoryClient
    sales: Sales
    plan: Plan
    callers: int
    sample: int
    report: Report
    findings: Findings

    async def run(self) -> None:
        """Run all phases; `findings` has the differences.

        Raises:
            NotEmpty: the log has events already.
        """
        if head := await self._head():
            raise NotEmpty(f"the server's log has {head:,} events already; start on a new file")
        expected = check.expected_stocks(self.sales, self.plan)
        traffic = Traffic(self.client, self.plan, self.findings)
        self._report_data(expected)
        stocking = await self._stock(expected)
        await self._sell(traffic)
        await self._wait()
        await self._check(expected)
        self._report_traffic(stocking, traffic)
        self.report.fact("events", await self._head())

    async def _stock(self, expected: pd.DataFrame) -> Stocking:
        goods = (
            Line(str(product), str(store), int(units))
            for (store, product), units in expected.stocked.items()
        )
        stocking = Stocking(self.plan, self.findings)
        async with self._sending("stock stores", "stocks", len(expected), stocking) as phase:
            await stocking.stock(self.address, goods, phase.advance)
        return stocking

    async def _sell(self, traffic: Traffic) -> None:
        baskets, count = self.sales.baskets(), self.sales.basket_count
        async with self._sending("sell baskets", "baskets", count, traffic) as phase:

            async def sell(basket: Basket) -> None:
                await traffic.sell(basket)
                phase.advance()

            await by_callers(self.callers, baskets, sell)

    async def _wait(self) -> None:
        with self.report.phase("await expiries", "", 1) as phase:
            await check.until_nothing_is_held(self.client, self.findings)
            phase.advance()

    async def _check(self, expected: pd.DataFrame) -> None:
        """Compare everything concurrently; nothing changes any more."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._check_stocks(expected))
            group.create_task(self._check_log(expected))
            group.create_task(self._check_baskets())
            if self.database:
                group.create_task(self._verify(self.database))

    async def _check_stocks(self, expected: pd.DataFrame) -> None:
        with self.report.phase("check stocks", "stocks", len(expected)) as phase:
            await check.compare_stocks(self.client, expected, self.findings, phase.advance)

    async def _check_log(self, expected: pd.DataFrame) -> None:
        events = int(expected.version.sum())
        with self.report.phase("check log", "events", events) as phase:
            await check.compare_log(self.client, expected, self.findings, phase.advance)
            phase.events = phase.count

    async def _check_baskets(self) -> None:
        sample = check.sampled(self.sales.baskets(), self.sample, self.plan.seed)
        with self.report.phase("check baskets", "baskets", len(sample)) as phase:
            await check.compare_reservations(
                self.client, sample, self.plan, self.findings, phase.advance
            )

    async def _verify(self, database: Path) -> None:
        with self.report.phase("run verify", "", 1) as phase:
            if said := await check.verified(database):
                self.findings.add(f"inventory-grpc verify: {said}")
            phase.advance()

    @asynccontextmanager
    async def _sending(
        self, name: str, unit: str, total: int, traffic: Stocking | Traffic
    ) -> AsyncIterator[Phase]:
        """Add the requests and events of a phase to its time."""
        requests, head = traffic.requests, await self._head()
        with self.report.phase(name, unit, total) as phase:
            yield phase
        phase.requests = traffic.requests - requests
        phase.events = await self._head() - head

    async def _head(self) -> int:
        return (await self.client.get_server_info()).head_position

    def _report_data(self, expected: pd.DataFrame) -> None:
        fact, odd = self.report.fact, self.sales.oddities
        fact("baskets", self.sales.basket_count)
        fact("lines", len(self.sales.lines))
        fact("stores", int(self.sales.lines.store_id.nunique()))
        fact("stocks", len(expected))
        fact("units", int(expected.stocked.sum()))
        fact("lines of 0 units, left out", odd.lines_of_nothing)
        fact("baskets of no other lines, left out", odd.baskets_of_nothing)
        fact("lines of 10,000 units or more", odd.huge_lines)
        fact("units in the largest line", odd.largest_line)
        fact("baskets of more than 500 lines, split", odd.large_baskets)

    def _report_traffic(self, stocking: Stocking, traffic: Traffic) -> None:
        for fate in Fate:
            self.report.fact(f"baskets {fate.value}", traffic.fates[fate])
        for sending in Sending:
            self.report.fact(f"messages in bulk {sending.value}", stocking.sendings[sending])
        for sending in Sending:
            self.report.fact(f"requests sent {sending.value}", traffic.sendings[sending])
