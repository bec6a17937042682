"""Every deliberate fault that `make mutants` tries."""

from typing import Final

from scripts.mutants.answers import ANSWERS
from scripts.mutants.back_links import BACK_LINKS
from scripts.mutants.batches import BATCHES
from scripts.mutants.engine import ENGINE
from scripts.mutants.names import NAMES
from scripts.mutants.plain import PLAIN
from scripts.mutants.postgres import POSTGRES
from scripts.mutants.promises import PROMISES
from scripts.mutants.reads import READS
from scripts.mutants.reversals import REVERSALS
from scripts.mutants.states import STATES
from scripts.mutants.surroundings import SURROUNDINGS
from scripts.mutants.tables import TABLES_AND_SESSIONS
from scripts.mutants.terms import TERMS

MUTANTS: Final = (
    *ENGINE,
    *SURROUNDINGS,
    *REVERSALS,
    *STATES,
    *BATCHES,
    *TERMS,
    *PROMISES,
    *ANSWERS,
    *PLAIN,
    *NAMES,
    *TABLES_AND_SESSIONS,
    *READS,
    *BACK_LINKS,
    *POSTGRES,
)
