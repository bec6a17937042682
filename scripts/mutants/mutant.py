"""A mutant: a deliberate fault in the sources, and the tests that must notice it."""

from collections.abc import Sequence
from typing import NamedTuple


class Edit(NamedTuple):
    """A change to one file of the package."""

    file: str
    old: str
    new: str


class Mutant(NamedTuple):
    """A deliberate fault."""

    name: str
    what: str
    file: str
    old: str
    new: str
    caught_by: str
    """Tests, of which at least one must fail."""
    also: Edit | None = None
    """A second edit, which removes a safeguard that would hide the fault."""

    @property
    def edits(self) -> Sequence[Edit]:
        first = Edit(self.file, self.old, self.new)
        return [first, self.also] if self.also else [first]
