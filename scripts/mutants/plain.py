"""Faults of the short way to record plain commands."""

from typing import Final

from scripts.mutants.mutant import Mutant

PLAIN: Final = (
    Mutant(
        "M62",
        "let a plain removal take what is reserved",
        "domain/stock_commands.py",
        "if is_plain and units < available else None",
        "if is_plain and units < on_hand else None",
        "tests/property/test_plain_commands.py",
    ),
    Mutant(
        "M63",
        "record a plain command again for a repeated request",
        "application/ledger/batch.py",
        "        if key is not None and self.read.answered.get(key, _UNREAD) is not None:\n"
        "            return None\n"
        "        outcome = record_plain",
        "        outcome = record_plain",
        "tests/property/test_plain_commands.py",
    ),
)
