"""Fixtures and options that all tests share."""

import os
import signal
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Final

import hypothesis
import pytest

from tests.slow import SLOW
from tests.support import loops, postgres, two_processes
from tests.support.effort import DEEP
from tests.support.quick_run import QuickRun
from tests.support.skip_list import SkipList
from tests.support.stores import STORES, Store

MAY_SKIP: Final[Mapping[str, str]] = {
    "tests/operations/test_systemd_runs.py": "root of a container may not boot a systemd everywhere"
}
"""Tests, or files of them, that need what CI cannot install: a name as pytest has it, and why."""

for proxy in ("grpc_proxy", "https_proxy", "http_proxy", "GRPC_ADDRESS_HTTP_PROXY"):
    # The servers of the tests are on this machine, and gRPC would ask a proxy for them.
    os.environ.pop(proxy, None)

# How long an example takes says more of the machine than of the code. Only the deep run tries new
# examples each time: a law also checks that it came to its rare cases, which chance may leave out.
hypothesis.settings.register_profile("here", deadline=None, derandomize=not DEEP)
hypothesis.settings.load_profile("here")

if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    # under nohup: the servers of the tests would inherit that, but not a handler
    signal.signal(signal.SIGHUP, lambda *_: None)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--quick", action="store_true", help="run no slow tests, as `make test`")
    two_processes.add_options(parser)


def pytest_configure(config: pytest.Config) -> None:
    """Fail on skips in CI, where all that tests need is installed; leave out what is slow."""
    if config.option.quick:
        os.environ.setdefault("ROBUSTNESS", "quick")
        config.pluginmanager.register(QuickRun(SLOW), "quick-run")
    if os.environ.get("CI"):
        config.pluginmanager.register(SkipList(MAY_SKIP), "skip-list")
    if loops.CHOSEN:
        config.pluginmanager.register(loops.OnOneLoop(loops.CHOSEN), "one-loop")
    two_processes.configure(config)


@pytest.fixture(params=sorted(STORES))
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    """Each implementation of the ports, empty."""
    async with STORES[request.param](tmp_path) as opened:
        yield opened


@pytest.fixture
def database(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str | Path]:
    """Return where there is no log yet: a file, or PostgreSQL for a test that is marked so.

    Campaigns on PostgreSQL have their least size, but for deep ones.
    """
    if getattr(request, "param", "sqlite") == "sqlite":
        yield tmp_path / "inventory.db"
        return
    if not DEEP:
        monkeypatch.setenv("ROBUSTNESS", "quick")
    with postgres.empty_schema() as url:
        yield url
