"""Mutants of dry runs and of atomic batches."""

from typing import Final

from scripts.mutants.mutant import Edit, Mutant

TOGETHER: Final = "tests/unit/application/test_atomic_batches.py"

BATCHES: Final = (
    Mutant(
        "M41",
        "record a dry run",
        "application/ledger/batch.py",
        "            if is_dry:\n",
        "            if is_dry:\n                book.adopt(trial)\n",
        "tests/unit/application/test_batch.py",
    ),
    Mutant(
        "M42",
        "keep the commands before the refused one of an atomic batch",
        "application/ledger/batch.py",
        "            trial = self.book.fork()\n            trial.may_let_go",
        "            trial = self.book\n            trial.may_let_go",
        TOGETHER,
    ),
    Mutant(
        "M43",
        "decide the commands of an atomic batch on the states before it",
        "application/ledger/workbook.py",
        "                changes = command.decide(self)\n",
        "                changes = command.decide(before)\n",
        TOGETHER,
        Edit(
            "application/ledger/workbook.py",
            "        first, outcomes = self.head + 1, list[PartOutcome]()\n",
            "        before = self.fork()\n"
            "        first, outcomes = self.head + 1, list[PartOutcome]()\n",
        ),
    ),
    Mutant(
        "M44",
        "count a dry run as another request",
        "presentation/submissions.py",
        "_to_record(request) if is_dry else request",
        "request",
        "tests/e2e/test_dry_run.py",
    ),
)
