"""In CI the failures also end the output, of which a log may show no more than its end."""

from typing import Final

import pytest

SHOWN: Final = 5
"""The most failures that are repeated."""

LINES: Final = 30
"""The last lines of a failure that are repeated."""


class FailuresLast:
    """A pytest plugin that repeats the ends of the first failures below everything else."""

    def __init__(self) -> None:
        self._ends: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed and len(self._ends) < SHOWN:
            end = report.longreprtext.splitlines()[-LINES:]
            self._ends.append("\n".join([f"{report.nodeid} ({report.when}):", *end]))

    @pytest.hookimpl(trylast=True)
    def pytest_unconfigure(self, config: pytest.Config) -> None:
        for end in self._ends:
            config.get_terminal_writer().line(end)
