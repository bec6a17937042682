"""A quick run leaves out the listed tests and says so in its last line."""

import ast
from pathlib import Path
from typing import Final

import pytest

from tests.slow import SLOW
from tests.support.quick_run import ADVICE, QuickRun, is_repeated

pytest_plugins = ["pytester"]

ROOT: Final = Path(__file__).parents[2]

STORY: Final = """
import pytest

def test_quick(): ...

@pytest.mark.parametrize("kills", [1, 1000])
def test_killed(kills): ...

def test_without_node(): pytest.skip("no node here")
"""


@pytest.fixture
def story(pytester: pytest.Pytester) -> pytest.Pytester:
    for name in ("robustness", "unit"):
        folder = pytester.mkdir(f"tests_{name}").joinpath("deep")
        folder.mkdir()
        folder.joinpath(f"test_{name}.py").write_text(STORY)
    return pytester


def run(pytester: pytest.Pytester, *slow: str) -> pytest.RunResult:
    plugins = ("-p", "no:asyncio", "-p", "no:cov")
    return pytester.runpytest_inprocess(*plugins, plugins=[QuickRun(slow)])


def test_slow_tests_are_not_run_and_the_last_line_counts_them(story: pytest.Pytester) -> None:
    result = run(
        story,
        "tests_robustness/deep/test_robustness.py",
        "tests_unit/deep/test_unit.py::test_killed[1000]",
    )
    result.assert_outcomes(passed=2, skipped=1, deselected=5)
    assert result.outlines[-1] == (
        "Not run: 5 slow tests (4 in tests_robustness/deep, 1 in tests_unit/deep); "
        "1 skipped for the reasons above; "
        f"robustness campaigns had their smallest size. {ADVICE}"
    )


def test_a_name_covers_no_longer_name(story: pytest.Pytester) -> None:
    run(story, "tests_unit/deep/test_unit.py::test_kill").assert_outcomes(passed=6, skipped=2)


def test_every_slow_test_exists() -> None:
    for name in SLOW:
        file, _, function = name.partition("[")[0].partition("::")
        tree = ast.parse((ROOT / file).read_text("utf-8"))
        assert not function or function in {
            node.name
            for node in ast.walk(tree)
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        }, name


@pytest.mark.parametrize(
    ("nodeid", "repeated"),
    [
        ("tests/contract/test_transaction.py::test_extending[postgres]", False),
        ("tests/contract/test_due.py::test_extending[postgres]", True),
        ("tests/e2e/test_bulk.py::test_order[postgres]", True),
        ("tests/e2e/test_bulk.py::test_order[postgres-1]", True),
        ("tests/e2e/test_bulk.py::test_order[sqlite]", False),
        ("tests/integration/test_postgres.py::test_a_second_start", False),
    ],
)
def test_what_sqlite_has_shown_is_not_repeated_on_postgresql(nodeid: str, repeated: bool) -> None:  # noqa: FBT001  a parameter
    assert is_repeated(nodeid) == repeated
