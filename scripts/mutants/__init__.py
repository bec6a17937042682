"""Every deliberate fault that `make mutants` tries."""

from typing import Final

from scripts.mutants.engine import ENGINE
from scripts.mutants.reads import READS
from scripts.mutants.surroundings import SURROUNDINGS

MUTANTS: Final = (*ENGINE, *SURROUNDINGS, *READS)
