"""Two processes share the files of a run, and the first one reports all tests."""

import sys
from pathlib import Path
from typing import Final

import psutil
import pytest

pytest_plugins = ["pytester"]

ROOT: Final = Path(__file__).parents[2]

CONFTEST: Final = """
from tests.support import two_processes
from tests.support.skip_list import SkipList

pytest_addoption = two_processes.add_options

def pytest_configure(config):
    two_processes.configure(config, ["test_alone.py"])
    reasons = dict.fromkeys(["test_lisbon.py", "test_porto.py"], "the shop is closed")
    config.pluginmanager.register(SkipList(reasons))
"""

MEETING: Final = """
import os
import time
from pathlib import Path

import pytest

def test_both_files_run_at_once():
    Path(f"{os.getpid()}.runs").touch()
    end = time.monotonic() + 60
    while len(list(Path.cwd().glob("*.runs"))) < 2:
        assert time.monotonic() < end
        time.sleep(0.01)
"""

OUTCOMES: Final = """
def test_failing(): assert "kettle" == "toaster"

def test_skipped(): pytest.skip("no kettle here")
"""

END: Final = """
def test_end(): Path(f"{os.getpid()}.ends").touch()
"""

ALONE: Final = """
from pathlib import Path

def test_alone(): assert len([*Path.cwd().glob("*.ends")]) == 2
"""

DYING: Final = """
def test_dying(pytestconfig):
    if pytestconfig.option.second_of:
        os._exit(7)
"""


KILLED: Final = """
def test_of_which_the_first_process_dies(pytestconfig):
    if not pytestconfig.option.second_of:
        os._exit(7)
    first, end = os.getppid(), time.monotonic() + 60
    while os.getppid() == first and time.monotonic() < end:
        time.sleep(0.01)

def test_following(): Path("following").touch()
"""


@pytest.fixture
def shop(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.makeini(f"[pytest]\npythonpath = {ROOT}")
    pytester.makeconftest(CONFTEST)
    return pytester


def run(shop: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    """Run pytest without the `--basetemp` that `pytester` would give it."""
    return shop.run(sys.executable, "-m", "pytest", "--two-processes", *arguments)


def test_both_run_files_at_the_same_time_and_all_is_reported_once(shop: pytest.Pytester) -> None:
    shop.makepyfile(test_lisbon=MEETING + OUTCOMES, test_porto=MEETING + OUTCOMES)
    result = run(shop, "-rs")
    result.assert_outcomes(passed=2, failed=2, skipped=2)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines_random(
        ["test_lisbon.py .Fs*", "test_porto.py .Fs*", "SKIPPED * no kettle here"]
    )
    assert result.stdout.str().count("assert 'kettle' == 'toaster'") == 2
    result.stdout.no_fnmatch_line("nothing was skipped for *")


def test_a_run_without_a_fault_succeeds(shop: pytest.Pytester) -> None:
    shop.makepyfile(test_lisbon=MEETING, test_porto=MEETING)
    result = run(shop)
    result.assert_outcomes(passed=2)
    assert result.ret == pytest.ExitCode.OK


def test_a_second_process_that_dies_fails_the_run(shop: pytest.Pytester) -> None:
    shop.makepyfile(test_lisbon=MEETING + DYING, test_porto=MEETING + DYING)
    result = run(shop)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["*the second process ended with code 7, and test_* was not run*"])
    assert "collected 4 items" in result.stderr.str(), "its output"


def test_the_second_process_ends_with_the_first_one(shop: pytest.Pytester) -> None:
    shop.makepyfile(test_lisbon=MEETING + KILLED, test_porto=MEETING + KILLED)
    assert run(shop).ret == 7
    processes = [psutil.Process(int(path.stem)) for path in shop.path.glob("*.runs") if _runs(path)]
    assert not psutil.wait_procs(processes, 60)[1]
    assert not (shop.path / "following").exists()


def _runs(path: Path) -> bool:
    return psutil.pid_exists(int(path.stem))


@pytest.mark.parametrize("option", ["--pdb", "-s", "--basetemp=here"])
def test_one_process_runs_all_where_two_would_disturb_each_other(
    shop: pytest.Pytester, option: str
) -> None:
    result = run(shop, "--trace-config", "--collect-only", option)
    assert "active plugins" in result.stdout.str()
    assert "first-process" not in result.stdout.str()


def test_a_file_that_must_run_alone_runs_after_all_others(shop: pytest.Pytester) -> None:
    shop.makepyfile(test_alone=ALONE, test_lisbon=MEETING + END, test_porto=MEETING + END)
    run(shop).assert_outcomes(passed=5)


def test_the_coverage_of_both_is_reported_as_one(shop: pytest.Pytester) -> None:
    shop.makepyfile(
        shop="def lisbon():\n    return 1\n\n\ndef porto():\n    return 2\n",
        test_lisbon=f"import shop\n{MEETING}\n    shop.lisbon()\n",
        test_porto=f"import shop\n{MEETING}\n    shop.porto()\n",
    )
    result = run(shop, "-p", "pytest_cov", "--cov=shop", "--cov-fail-under=100")
    result.assert_outcomes(passed=2)
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["shop.py *100%*"])
    assert not [path.name for path in shop.path.glob(".coverage.*")], "combined"
