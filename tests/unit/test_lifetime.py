"""What goes round in circles is let go of, also where Python itself would not look for long."""

import asyncio
import gc
import weakref
from collections.abc import Iterator

import pytest

from inventory_grpc import lifetime


class Circle:
    """Nothing but itself holds it."""

    def __init__(self) -> None:
        self.itself = self


@pytest.fixture(autouse=True)
def _python_does_not_look() -> Iterator[None]:
    gc.disable()
    yield
    gc.enable()


async def test_a_server_looks_for_what_only_holds_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lifetime, "GC_SECONDS", 0.001)
    gone = asyncio.Event()
    circle = weakref.ref(Circle(), lambda _: gone.set())
    assert circle() is not None

    looking = asyncio.create_task(lifetime._look_for_cycles())
    async with asyncio.timeout(10):
        await gone.wait()

    looking.cancel()
