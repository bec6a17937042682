"""Engines on PostgreSQL whose connections are cut off under load lose and repeat nothing."""

import asyncio
from contextlib import AsyncExitStack

import psycopg
import pytest

from inventory_grpc.application.failures import OutcomeUnknown, Unavailable
from inventory_grpc.application.ledger import circuit_breaker
from tests.support import postgres
from tests.support.opened import Opened, checked, events, opened, requests_of
from tests.support.world import add

CALLERS = 8
CUTS = 6
MAX_CUTS = 60
"""It is cut off more often until a call has failed."""

CUT_OFF_ALL = (
    "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
    "WHERE pid <> pg_backend_pid() AND application_name = 'inventory-grpc'"
)


async def insist(shops: list[Opened], request_id: str) -> int:
    """Ask the engines in turn until one answers; return how often that failed."""
    failed = 0
    while True:
        shop = shops[failed % len(shops)]
        try:
            await shop.record(add(1), request_id)
        except (Unavailable, OutcomeUnknown):
            failed += 1
            await asyncio.sleep(0.02)
        else:
            return failed


async def test_each_request_is_recorded_once_however_often_connections_are_cut_off(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(circuit_breaker, "FIRST_WAIT_SECONDS", 0.02)
    monkeypatch.setattr(circuit_breaker, "MAX_WAIT_SECONDS", 0.05)
    async with AsyncExitStack() as stack:
        url = stack.enter_context(postgres.empty_schema())
        shops = [await stack.enter_async_context(opened(url)) for _ in range(2)]
        failed = 0
        asked = [0] * CALLERS
        enough = asyncio.Event()

        async def call(caller: int) -> None:
            nonlocal failed
            while not enough.is_set():
                request_id = f"{caller}-{asked[caller]}"
                asked[caller] += 1
                failed += await insist([*shops[caller % 2 :], *shops], request_id)

        calling = [asyncio.create_task(call(caller)) for caller in range(CALLERS)]
        for cut in range(MAX_CUTS):
            await asyncio.sleep(0.15)
            with psycopg.connect(url) as connection:
                connection.execute(CUT_OFF_ALL)
            if failed and cut >= CUTS:
                break
        enough.set()
        async with asyncio.timeout(60):
            await asyncio.gather(*calling)
        assert failed, "no connection was cut off while it was used"
        recorded = requests_of(events(url))
        assert recorded == {f"{c}-{n}": 1 for c in range(CALLERS) for n in range(asked[c])}
        assert checked(url).position == sum(asked)
