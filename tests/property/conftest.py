"""The engine on which laws play some of their histories."""

import pytest

from tests.support import histories


@pytest.fixture(autouse=True)
def _durable(on_engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Play them on PostgreSQL if the test is marked so."""
    monkeypatch.setattr(histories, "durable", on_engine)
