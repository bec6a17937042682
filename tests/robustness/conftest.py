"""What the attempts to break it may ask for."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.robustness.effort import DEEP
from tests.robustness.inside import Inside, serving_openly


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let deep runs take as long as they need."""
    if DEEP:
        for item in items:
            item.add_marker(pytest.mark.timeout(0), append=False)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where there is no database yet."""
    return tmp_path / "inventory.db"


@pytest.fixture
async def inside(path: Path) -> AsyncIterator[Inside]:
    """Serve in this process, so that it can be looked into."""
    async with serving_openly(path) as inside:
        yield inside
