"""A running engine over the in-memory store."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.support.engine import Engine, assemble, running
from tests.support.feed import Feed
from tests.support.stores import TroubledStore, in_memory
from tests.support.virtual_time import virtual_time


@pytest.fixture(autouse=True)
async def _virtual_time(request: pytest.FixtureRequest) -> AsyncIterator[None]:
    """Have no test wait, but those that use every store: one of them has a thread."""
    if "store" in request.fixturenames:
        yield
        return
    with virtual_time(asyncio.get_running_loop()):
        yield


@pytest.fixture
def troubled() -> TroubledStore:
    """Return the store under the engine."""
    return TroubledStore()


@pytest.fixture
async def idle(troubled: TroubledStore) -> Engine:
    """Return an engine whose ledger does not run yet: what is asked waits."""
    return assemble(in_memory(troubled))


@pytest.fixture
async def engine(idle: Engine) -> AsyncIterator[Engine]:
    async with running(idle):
        yield idle


@pytest.fixture
def feed() -> Feed:
    return Feed()
