"""Only listed tests may skip in CI."""

from pathlib import Path
from typing import Final

import pytest

from tests.conftest import MAY_SKIP
from tests.support.skip_list import ADVICE, SkipList

pytest_plugins = ["pytester"]

ROOT: Final = Path(__file__).parents[2]

STORY: Final = """
import pytest

@pytest.mark.skipif(True, reason="no kettle here")
def test_marked(): ...

@pytest.mark.parametrize("store", ["lisbon", "porto"])
def test_while_it_runs(store):
    if store == "porto":
        pytest.skip("no toaster here")

@pytest.fixture
def kettle():
    pytest.skip("no fixture here")

def test_in_a_fixture(kettle): ...

@pytest.mark.parametrize("nothing", [])
def test_without_parameters(nothing): ...

@pytest.mark.xfail(strict=True)
def test_expected_to_fail(): assert False

def test_passing(): ...
"""


@pytest.fixture
def story(pytester: pytest.Pytester) -> pytest.Pytester:
    pytester.makepyfile(test_story=STORY)
    return pytester


def run(pytester: pytest.Pytester, *reasons: str) -> pytest.RunResult:
    skip_list = SkipList(dict.fromkeys(reasons, "the shop is closed"))
    return pytester.runpytest_inprocess("-p", "no:asyncio", "-p", "no:cov", plugins=[skip_list])


def test_a_skip_that_is_not_listed_fails_with_its_reason_and_advice(
    story: pytest.Pytester,
) -> None:
    result = run(story)
    result.assert_outcomes(failed=1, errors=3, passed=2, xfailed=1)
    result.stdout.fnmatch_lines_random(
        ["*no kettle here", "*no toaster here", "*no fixture here", "*got empty parameter set*"]
    )
    result.stdout.fnmatch_lines([ADVICE])
    assert result.ret is pytest.ExitCode.TESTS_FAILED


def test_a_listed_skip_is_a_skip(story: pytest.Pytester) -> None:
    result = run(
        story,
        "test_story.py::test_marked",
        "test_story.py::test_while_it_runs[porto]",
        "test_story.py::test_in_a_fixture",
        "test_story.py::test_without_parameters",
    )
    result.assert_outcomes(skipped=4, passed=2, xfailed=1)
    result.stdout.no_fnmatch_line("nothing was skipped for *")
    assert result.ret is pytest.ExitCode.OK


def test_a_file_is_listed_with_all_its_tests(story: pytest.Pytester) -> None:
    run(story, "test_story.py").assert_outcomes(skipped=4, passed=2, xfailed=1)


def test_a_name_covers_no_longer_name(story: pytest.Pytester) -> None:
    result = run(story, "test_story", "test_story.py::test_mark")
    assert result.ret is pytest.ExitCode.TESTS_FAILED


def test_a_module_that_is_skipped_while_it_is_collected_fails(
    pytester: pytest.Pytester,
) -> None:
    pytester.makepyfile(test_module="import pytest\npytest.importorskip('no_such_kettle')")
    assert run(pytester).ret is pytest.ExitCode.INTERRUPTED
    assert run(pytester, "test_module.py").ret is pytest.ExitCode.NO_TESTS_COLLECTED


def test_an_entry_that_nothing_needs_is_reported(story: pytest.Pytester) -> None:
    result = run(story, "test_story.py", "test_story.py::test_passing")
    result.stdout.fnmatch_lines(
        ["nothing was skipped for test_story.py::test_passing: the shop is closed"]
    )


def test_all_that_may_skip_is_there_and_has_a_reason() -> None:
    for name, reason in MAY_SKIP.items():
        file, _, story = name.partition("::")
        function = story.partition("[")[0].rpartition("::")[2]
        assert f"def {function}" in (ROOT / file).read_text("utf-8"), name
        assert reason, name
