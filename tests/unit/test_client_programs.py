"""The documents show the programs of `tests/clients` as they are, and tests run all of them."""

import re
from typing import Final

from tests.support.clients import PROGRAMS, WRITTEN_PORTS, commands, programs
from tests.support.documents import ROOT, text_of

TESTS: Final = (
    "tests/e2e/test_other_languages.py",
    "tests/operations/gateway/test_web_client.py",
    "tests/clients/test_compiled.py",
)


def test_the_documents_show_each_program_as_it_is() -> None:
    files = [file for file in PROGRAMS.glob("*/*") if file.is_file()]
    assert programs() == {file: file.read_text("utf-8") for file in files}


def test_the_commands_above_a_program_are_those_of_its_language() -> None:
    assert [*commands()] == [file.parent.name for file in programs()]


def test_a_test_runs_the_program_of_each_language() -> None:
    run = "".join(text_of(ROOT / name) for name in TESTS)
    named = re.findall(r'parametrize\("language", \[(.*?)\]|run_client\("(\w+)"', run)
    assert {one for pair in named for one in re.findall(r"\w+", "".join(pair))} == set(commands())


def test_each_program_names_the_server_once() -> None:
    for file, program in programs().items():
        assert sum(program.count(port) for port in WRITTEN_PORTS) == 1, file
