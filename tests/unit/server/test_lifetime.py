"""Reference cycles are freed, also where Python itself would not collect for long."""

import asyncio
import gc
import weakref
from collections.abc import Iterator

import pytest

from inventory_grpc.application.tally import Tally
from inventory_grpc.server import lifetime


class Circle:
    """An object that only refers to itself."""

    def __init__(self) -> None:
        self.itself = self


@pytest.fixture(autouse=True)
def _no_automatic_collection() -> Iterator[None]:
    gc.disable()
    yield
    gc.enable()


async def test_a_server_frees_reference_cycles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lifetime, "GC_SECONDS", 0.001)
    gone = asyncio.Event()
    circle = weakref.ref(Circle(), lambda _: gone.set())
    assert circle() is not None

    collecting = asyncio.create_task(lifetime._collecting(Tally())())
    async with asyncio.timeout(10):
        await gone.wait()

    collecting.cancel()
