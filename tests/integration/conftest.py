"""Fixtures for tests on a real database file."""

import asyncio
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return a path at which there is no database yet."""
    return tmp_path / "inventory.db"


@pytest.fixture(autouse=True)
async def _nothing_outlives_a_story() -> AsyncIterator[None]:
    """See that neither a task nor a thread at the database is left when an engine was closed."""
    tasks, threads = asyncio.all_tasks(), _threads()
    yield
    assert not asyncio.all_tasks() - tasks - {asyncio.current_task()}
    assert not _threads() - threads


def _threads() -> set[threading.Thread]:
    return {
        thread
        for thread in threading.enumerate()
        if thread.name.startswith(("postgres-", "sqlite-"))
    }
