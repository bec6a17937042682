"""The failures of a run in CI end its output."""

import pytest

from tests.support.failures_last import SHOWN, FailuresLast

pytest_plugins = ["pytester"]

STORY = f"""
import pytest

@pytest.mark.parametrize("store", range({SHOWN + 1}))
def test_stock(store): assert store < 0, "no kettle here"

def test_passing(): ...
"""


def test_failures_are_repeated_below_the_summary(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_story=STORY)
    plugin = FailuresLast()
    result = pytester.runpytest_inprocess("-p", "no:asyncio", "-p", "no:cov", plugins=[plugin])
    result.assert_outcomes(failed=SHOWN + 1, passed=1)
    lines = result.outlines
    summary = next(number for number, line in enumerate(lines) if "1 passed" in line)
    repeated = lines[summary + 1 :]
    assert [line for line in repeated if line.endswith("(call):")] == [
        f"test_story.py::test_stock[{store}] (call):" for store in range(SHOWN)
    ]
    assert sum("AssertionError: no kettle here" in line for line in repeated) == SHOWN
