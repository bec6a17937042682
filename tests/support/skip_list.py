"""In CI a skip is a failure, unless the list names it with a reason."""

from collections.abc import Generator, Mapping
from typing import Final

import pytest

ADVICE: Final = "Have .ci/run install what is missing, or give a reason in tests/conftest.py."


class SkipList:
    """A pytest plugin that lets only the listed tests skip.

    A name on the list is that of a file, a class, a test, or one of a test's parameters.
    """

    def __init__(self, reasons: Mapping[str, str]) -> None:
        self._unused = dict(reasons)
        self._reasons = reasons

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self,
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        self._judge(report)
        return report

    @pytest.hookimpl(wrapper=True)
    def pytest_make_collect_report(
        self,
    ) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
        report = yield
        self._judge(report)
        return report

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note the entries that are needed, also by the tests of another process."""
        self._note(report)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        self._note(report)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Report the entries of the list that no test needed in this run."""
        for name, reason in self._unused.items():
            terminalreporter.write_line(f"nothing was skipped for {name}: {reason}")

    def _judge(self, report: pytest.TestReport | pytest.CollectReport) -> None:
        if not report.skipped or hasattr(report, "wasxfail"):
            return
        if not any(covers(name, report.nodeid) for name in self._reasons):
            report.outcome = "failed"
            report.longrepr = f"{_reason(report)}\n{ADVICE}"

    def _note(self, report: pytest.TestReport | pytest.CollectReport) -> None:
        if report.skipped and not hasattr(report, "wasxfail"):
            for name in self._reasons:
                if covers(name, report.nodeid):
                    self._unused.pop(name, None)


def covers(name: str, node_id: str) -> bool:
    """Return whether *name*, that of a file or a test, includes the test *node_id*."""
    return node_id == name or node_id.startswith((f"{name}::", f"{name}["))


def _reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    """Return why pytest skipped it; the place is only pytest's own."""
    match report.longrepr:
        case (_, _, reason):
            return str(reason)
        case other:
            return str(other)
