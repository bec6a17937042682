"""Deliberate faults in what reads look at, and in what is kept of calls that are over."""

from typing import Final

from scripts.mutants.mutant import Mutant

READS: Final = (
    Mutant(
        "M32",
        "look through all events of a stock for one page",
        "infrastructure/sqlite/event_search.py",
        "        if last - first < self.looked_at:\n",
        "        if True:\n",
        "tests/integration/test_bounded_reads.py",
    ),
    Mutant(
        "M33",
        "keep the traceback of a refusal, and with it the whole batch",
        "application/ledger/batch.py",
        "refusal.with_traceback(None)",
        "refusal",
        "tests/unit/presentation/test_memory_of_refusals.py",
    ),
    Mutant(
        "M34",
        "cache a stock as it was before an event that was published meanwhile",
        "infrastructure/cache.py",
        "        if reading.as_of < self._head.position:\n",
        "        if False:\n",
        "tests/unit/application/test_cache.py",
    ),
)
