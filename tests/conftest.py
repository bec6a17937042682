"""Fixtures and options that all tests share."""

import os
import signal
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from typing import Final

import hypothesis
import pytest
from hypothesis.internal.conjecture import providers
from hypothesis.internal.constants_ast import Constants

from tests.alone import ALONE
from tests.slow import SLOW
from tests.support import loops, postgres, two_processes
from tests.support.effort import DEEP
from tests.support.failures_last import FailuresLast
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
# examples each time.
hypothesis.settings.register_profile("here", deadline=None, derandomize=not DEEP)
hypothesis.settings.load_profile("here")
# Values are drawn also from the constants of all loaded modules, so that the examples of a test
# would depend on the tests before it.
providers._get_local_constants = Constants  # there is no setting for it

if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    # under nohup: the servers of the tests would inherit that, but not a handler
    signal.signal(signal.SIGHUP, lambda *_: None)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--quick", action="store_true", help="run no slow tests, as `make test`")
    two_processes.add_options(parser)


def pytest_configure(config: pytest.Config) -> None:
    """Fail on skips in CI, where all that tests need is installed; leave out slow tests."""
    if config.option.quick:
        os.environ.setdefault("ROBUSTNESS", "quick")
        config.pluginmanager.register(QuickRun(SLOW), "quick-run")
    if os.environ.get("CI"):
        config.pluginmanager.register(SkipList(MAY_SKIP), "skip-list")
        config.pluginmanager.register(FailuresLast(), "failures-last")
    if loops.CHOSEN:
        config.pluginmanager.register(loops.OnOneLoop(loops.CHOSEN), "one-loop")
    two_processes.configure(config, ALONE)


@pytest.fixture(params=sorted(STORES))
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    """Each implementation of the ports, empty."""
    async with STORES[request.param](tmp_path) as opened:
        yield opened


@pytest.fixture
def on_engine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the storage engine: SQLite, or the one of a test that is marked `on_each_engine`.

    Campaigns on PostgreSQL have their least size, but for deep ones.
    """
    engine: str = getattr(request, "param", "sqlite")
    if engine == "postgres":
        if not postgres.is_there():
            pytest.skip(postgres.MISSING)
        if not DEEP:
            monkeypatch.setenv("ROBUSTNESS", "quick")
    return engine


@pytest.fixture
def new_database(on_engine: str, tmp_path: Path) -> Iterator[Callable[[], str | Path]]:
    """Return what makes a place without a log: a file, or a schema of PostgreSQL."""
    with ExitStack() as stack:
        numbers = count()

        def new() -> str | Path:
            if on_engine == "postgres":
                return stack.enter_context(postgres.empty_schema())
            number = next(numbers)
            folder = tmp_path / f"{number}" if number else tmp_path
            folder.mkdir(exist_ok=True)
            return folder / "inventory.db"

        yield new


@pytest.fixture
def database(new_database: Callable[[], str | Path]) -> str | Path:
    """Return a place without a log."""
    return new_database()
