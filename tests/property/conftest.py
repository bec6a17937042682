"""The engine on which laws play some of their histories."""

import pytest

from tests.support import histories, postgres
from tests.support.effort import DEEP


@pytest.fixture(autouse=True)
def database(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Play them on PostgreSQL if the test is marked so, in the quick size of a law."""
    if getattr(request, "param", "sqlite") == "sqlite":
        return
    if not postgres.is_there():
        pytest.skip(postgres.MISSING)
    if not DEEP:
        monkeypatch.setenv("ROBUSTNESS", "quick")
    monkeypatch.setattr(histories, "durable", "postgres")
