"""What is to be broken on purpose is still there to be broken."""

import pytest

from scripts.mutants import MUTANTS, ROOT, Mutant


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_what_a_mutant_changes_is_in_the_sources_once(mutant: Mutant) -> None:
    for edit in mutant.edits:
        assert (ROOT / "inventory_grpc" / edit.file).read_text().count(edit.old) == 1, edit.old
