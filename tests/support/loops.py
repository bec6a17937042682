"""The event loop of a test run.

`TEST_EVENT_LOOP=uvloop`, or `=asyncio`, runs the tests and the servers that they start on that
loop. Without it, tests run on asyncio's loop, and servers on the one that `event_loop` chooses.
"""

import asyncio
import os
from collections.abc import Callable, Mapping
from typing import Final

import pytest

from inventory_grpc.choices import EventLoop

CHOSEN: Final = os.environ.get("TEST_EVENT_LOOP")


class OnOneLoop:
    """Has pytest-asyncio run the tests on the loop of that name."""

    def __init__(self, name: str) -> None:
        self._factories = {name: factory(name)}

    def pytest_asyncio_loop_factories(self) -> Mapping[str, Callable[[], object]]:
        return self._factories


def of_servers() -> Mapping[str, str]:
    """Return the environment of servers that tests start."""
    return {"INVENTORY_EVENT_LOOP": CHOSEN} if CHOSEN else {}


def factory(name: str) -> Callable[[], asyncio.AbstractEventLoop]:
    """Return what makes a loop of that name; a test is skipped where it is not installed."""
    if name == EventLoop.ASYNCIO.value:
        return asyncio.new_event_loop
    if name != EventLoop.UVLOOP.value:
        raise pytest.UsageError(f"TEST_EVENT_LOOP: {name} is no event loop")
    made: Callable[[], asyncio.AbstractEventLoop] = pytest.importorskip("uvloop").new_event_loop
    return made
