"""Each command of the handbook is run by a test, or the handbook says why it is not."""

import re
from pathlib import Path
from typing import Final

import pytest

from tests.support.documents import HANDBOOK, documents, name_of, text_of

PARTS: Final = [one for one in documents() if one.is_relative_to(HANDBOOK.parent)]
_SHELL: Final = re.compile(
    r"(?P<before>[^\n]*)\n```sh\n(?P<code>.*?)^```", re.MULTILINE | re.DOTALL
)
_RUN: Final = re.compile(r"<!-- (run|walk)\b.* -->")
_NOT_RUN: Final = re.compile(r"<!-- not run: .{20,} -->")


@pytest.mark.parametrize("document", PARTS, ids=name_of)
def test_each_command_is_run_by_a_test_or_has_a_reason_why_not(document: Path) -> None:
    for block in _SHELL.finditer(text_of(document)):
        assert _RUN.fullmatch(block["before"]) or _NOT_RUN.fullmatch(block["before"]), block["code"]


def test_most_commands_are_run() -> None:
    before = [block["before"] for one in PARTS for block in _SHELL.finditer(text_of(one))]
    assert sum(_RUN.fullmatch(one) is not None for one in before) > len(before) / 2
