"""With `--two-processes`, two processes share the files of a run, which reads as one run.

The first process starts the second one and reports the tests of both. Each takes the next file
that is not taken, so both end at about the same time whatever the files cost. Then the
first one runs those that must have the machine for themselves. With `--cov`, it reports what
both have covered: as the last one to end, it combines the data of the second process with its own.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import pytest

REPORTS: Final = "reports"
"""The file with the reports of the second process: a line of JSON for each file of tests."""

OUTPUT: Final = "output"
"""The file with the output of the second process, which is shown only if it ends too early."""

LAST_OF_OUTPUT: Final = 10_000
LOOK_EVERY_SECONDS: Final = 0.1
STOP_SECONDS: Final = 60.0
"""The longest that the second process may take to end its servers when the run is stopped."""


def add_options(parser: pytest.Parser) -> None:
    parser.addoption(
        "--two-processes", action="store_true", help="share the files between two processes"
    )
    parser.addoption("--second-of", metavar="FOLDER", help="be the second process (internal)")


def configure(config: pytest.Config, alone: Collection[str] = ()) -> None:
    """Register the plugin of this process; no other test runs beside the files in *alone*."""
    options = config.option
    needs_one = (
        options.usepdb
        or options.capture == "no"
        or options.basetemp  # which each process would empty
    )
    if options.second_of:
        config.pluginmanager.register(
            SecondProcess(Path(options.second_of), alone), "second-process"
        )
    elif options.two_processes and not needs_one:
        config.pluginmanager.register(FirstProcess(alone), "first-process")


class FirstProcess:
    """The plugin of the process that reports."""

    def __init__(self, alone: Collection[str]) -> None:
        self._alone = alone
        self._reported: set[str] = set()
        self._read = 0
        """Bytes of the second process's reports."""

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool | None:
        if session.testsfailed or session.config.option.collectonly:
            return None  # nothing is run
        with TemporaryDirectory(prefix="two-processes-") as name:
            folder = Path(name)
            with _second_process(session.config, folder) as second:
                for tests in _shared(session.items, folder, self._alone):
                    _run(session, tests)
                    self._report(session, folder)
                while second.poll() is None:  # each of its tests has a timeout
                    time.sleep(LOOK_EVERY_SECONDS)
                    self._report(session, folder)
                self._report(session, folder)
            for path, tests in _by_file(session.items).items():
                if path in self._alone:
                    _run(session, tests)
            if left := [item.nodeid for item in session.items if item.nodeid not in self._reported]:
                output = (folder / OUTPUT).read_text("utf-8", "replace")[-LAST_OF_OUTPUT:]
                ended = f"the second process ended with code {second.returncode}"
                session.shouldfail = f"{ended}, and {left[0]} was not run"
                sys.stderr.write(output)
                raise session.Failed(session.shouldfail)
        return True

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "teardown":
            self._reported.add(report.nodeid)

    def _report(self, session: pytest.Session, folder: Path) -> None:
        """Report the files that the second process has run since."""
        hook = session.config.hook
        for data in self._told(folder / REPORTS):
            report = hook.pytest_report_from_serializable(config=session.config, data=data)
            if isinstance(report.longrepr, list):  # JSON has no tuples
                report.longrepr = tuple(report.longrepr)
            place = {"nodeid": report.nodeid, "location": report.location}
            if report.when == "setup":
                hook.pytest_runtest_logstart(**place)
            hook.pytest_runtest_logreport(report=report)
            if report.when == "teardown":
                hook.pytest_runtest_logfinish(**place)
        _stop_if_told(session)

    def _told(self, reports: Path) -> Iterator[dict[str, Any]]:
        if not reports.exists():
            return
        with reports.open("rb") as lines:
            lines.seek(self._read)
            for line in lines:
                if not line.endswith(b"\n"):
                    return  # it is being written
                self._read += len(line)
                yield from json.loads(line)


class SecondProcess:
    """The plugin of the process that runs tests for the first one."""

    def __init__(self, folder: Path, alone: Collection[str]) -> None:
        self._folder = folder
        self._alone = alone
        self._reports: list[pytest.TestReport] = []
        self._first = os.getppid()

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> None:
        """Let no test follow when the first process has ended, as when it was killed."""
        if os.getppid() != self._first:
            item.session.shouldstop = "the first process has ended"

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        for tests in _shared(session.items, self._folder, self._alone):
            try:
                _run(session, tests)
            finally:
                self._tell(session.config)
        return True

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._reports.append(report)

    def _tell(self, config: pytest.Config) -> None:
        told = [
            config.hook.pytest_report_to_serializable(config=config, report=report)
            for report in self._reports
        ]
        self._reports.clear()
        with (self._folder / REPORTS).open("a", encoding="utf-8") as lines:
            lines.write(json.dumps(told) + "\n")


@contextmanager
def _second_process(config: pytest.Config, folder: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """Start it with the same arguments; on leaving, have it end its tests."""
    asked = config.invocation_params
    with (folder / OUTPUT).open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "pytest", *asked.args, f"--second-of={folder}"],
            cwd=asked.dir,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            process_group=0,  # Ctrl-C is for the first process, which tells the second one
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _by_file(items: Sequence[pytest.Item]) -> dict[str, list[pytest.Item]]:
    files: dict[str, list[pytest.Item]] = {}
    for item in items:
        files.setdefault(item.nodeid.partition("::")[0], []).append(item)
    return files


def _shared(
    items: Sequence[pytest.Item], folder: Path, alone: Collection[str]
) -> Iterator[list[pytest.Item]]:
    """Take one file after the other that the other process has not taken; yield its tests."""
    for name, tests in _by_file(items).items():
        if name in alone:
            continue
        try:
            (folder / name.replace("/", "+")).touch(exist_ok=False)
        except FileExistsError:
            continue
        yield tests


def _run(session: pytest.Session, tests: Sequence[pytest.Item]) -> None:
    """Run the tests of a file, as the loop of pytest does."""
    for test, following in zip(tests, [*tests[1:], None], strict=True):
        test.config.hook.pytest_runtest_protocol(item=test, nextitem=following)
        _stop_if_told(session)


def _stop_if_told(session: pytest.Session) -> None:
    if session.shouldfail:
        raise session.Failed(session.shouldfail)
    if session.shouldstop:
        raise session.Interrupted(session.shouldstop)
