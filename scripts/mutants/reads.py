"""Faults in reads from PostgreSQL."""

from typing import Final

from scripts.mutants.mutant import Mutant

READS: Final = (
    Mutant(
        "M74",
        "keep a stock as of before an event that was published during the read",
        "presentation/stock_answers.py",
        "if self._fills.get(request) is not fill or as_of < fill.begun:",
        "if as_of < fill.begun:",
        "tests/unit/presentation/test_stock_answers.py",
    ),
    Mutant(
        "M75",
        "answer a query from a read that began before it was asked",
        "infrastructure/postgres/point_reads.py",
        "            for one, answer in group:\n                if not answer.done():\n"
        "                    answer.set_result",
        "            for one, answer in [*group, *self._waiting]:\n"
        "                if not answer.done():\n                    answer.set_result",
        "tests/integration/test_point_reads.py",
    ),
    Mutant(
        "M76",
        "answer from a replica that is behind the position that the caller names",
        "infrastructure/postgres/replicas.py",
        "    if head < at_least:\n",
        "    if False:\n",
        "tests/integration/test_replicas.py",
    ),
)
