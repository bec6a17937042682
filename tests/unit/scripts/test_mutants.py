"""Each mutant still applies to the sources and names existing tests."""

import re

import pytest

from scripts.mutants import MUTANTS
from scripts.mutants.mutant import Mutant
from tests.support.server_process import ROOT


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_what_a_mutant_changes_is_in_the_sources_once(mutant: Mutant) -> None:
    for edit in mutant.edits:
        assert (ROOT / "inventory_grpc" / edit.file).read_text().count(edit.old) == 1, edit.old


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_the_tests_that_must_notice_a_mutant_are_there(mutant: Mutant) -> None:
    for test in mutant.caught_by.split():
        assert (ROOT / test).is_file(), test


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_mutant_is_in_the_table_of_its_document_in_the_same_words(mutant: Mutant) -> None:
    table = (ROOT / "tests/robustness/README.md").read_text("utf-8").partition("\n## Mutants")[2]
    assert re.search(rf"[|;] {mutant.name} {re.escape(mutant.what)}( \||; M)", table)


def test_no_two_mutants_have_the_same_name() -> None:
    numbers = [int(mutant.name.removeprefix("M")) for mutant in MUTANTS]
    assert len(numbers) == len(set(numbers))
