"""What every test may ask for."""

import signal
from collections.abc import AsyncIterator
from pathlib import Path

import hypothesis
import pytest

from tests.support.stores import STORES, Store

# how long an example takes says more of the machine than of the code
hypothesis.settings.register_profile("here", deadline=None)
hypothesis.settings.load_profile("here")

if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    # under nohup: the servers of the tests would inherit that, but not a handler
    signal.signal(signal.SIGHUP, lambda *_: None)


@pytest.fixture(params=sorted(STORES))
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    """Each implementation of the ports, empty."""
    async with STORES[request.param](tmp_path) as opened:
        yield opened
