"""With `--quick`, slow tests are not run, and the last line of the run says so."""

from collections import Counter
from collections.abc import Collection
from pathlib import PurePath
from typing import Final

import pytest

from tests.support.skip_list import covers

ADVICE: Final = "`make test-all` runs everything."

_ALSO_ON_POSTGRESQL: Final = "tests/contract/test_transaction.py"


class QuickRun:
    """A pytest plugin that deselects the slow tests and counts them by directory.

    A name on the list is that of a file, a test, or one of a test's parameters.
    """

    def __init__(self, slow: Collection[str]) -> None:
        self._slow = slow
        self._not_run: Counter[str] = Counter()

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(
        self, config: pytest.Config, items: list[pytest.Item]
    ) -> None:
        slow = [item for item in items if self._is_slow(item)]
        items[:] = [item for item in items if not self._is_slow(item)]
        config.hook.pytest_deselected(items=slow)
        self._not_run.update(_directory(item) for item in slow)

    def pytest_unconfigure(self, config: pytest.Config) -> None:
        """Print the last line, below pytest's own summary."""
        reporter = config.pluginmanager.get_plugin("terminalreporter")
        assert isinstance(reporter, pytest.TerminalReporter)
        skipped = len(reporter.stats.get("skipped", []))
        reporter.write_line(last_line(self._not_run, skipped))

    def _is_slow(self, item: pytest.Item) -> bool:
        return is_repeated(item.nodeid) or any(covers(name, item.nodeid) for name in self._slow)


def is_repeated(nodeid: str) -> bool:
    """Return whether a test is one of SQLite's again, on PostgreSQL.

    One file stays: without PostgreSQL it is skipped, and says how to have it.
    """
    path, _, name = nodeid.partition("::")
    return "postgres" in name.partition("[")[2] and path != _ALSO_ON_POSTGRESQL


def last_line(not_run: "Counter[str]", skipped: int) -> str:
    places = ", ".join(f"{count} in {place}" for place, count in sorted(not_run.items()))
    parts = [
        f"Not run: {not_run.total()} slow tests" + (f" ({places})" if places else ""),
        *([f"{skipped} skipped for the reasons above"] if skipped else []),
        "robustness campaigns had their smallest size",
    ]
    return f"{'; '.join(parts)}. {ADVICE}"


def _directory(item: pytest.Item) -> str:
    """Return `tests/` and the directory below it."""
    return "/".join(PurePath(item.nodeid.partition("::")[0]).parent.parts[:2])
