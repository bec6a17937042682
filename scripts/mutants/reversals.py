"""Mutants of the reversal of events."""

from typing import Final

from scripts.mutants.mutant import Mutant

LAW: Final = "tests/property/test_reversals.py"

REVERSALS: Final = (
    Mutant(
        "M35",
        "reverse an event twice",
        "domain/reversal.py",
        "        if trail.reversed_by:\n",
        "        if False:\n",
        LAW,
    ),
    Mutant(
        "M36",
        "let a count that was reversed still count",
        "domain/reversal.py",
        "            undone.add(reverses)\n",
        "            pass\n",
        LAW,
    ),
    Mutant(
        "M37",
        "let a count not stand again after its reversal was reversed",
        "domain/reversal.py",
        "        if position in undone:\n",
        "        if position in undone and not reverses:\n",
        LAW,
    ),
    Mutant(
        "M38",
        "decide a reversal without the events of its own batch",
        "application/ledger/workbook.py",
        "        return trail.followed_by(events) if trail else None\n",
        "        return trail\n",
        LAW,
    ),
)
