"""Mutants of policies and of the terms of stocks."""

from typing import Final

from scripts.mutants.mutant import Mutant

LAWS: Final = "tests/property/test_terms.py"
STORIES: Final = "tests/integration/test_terms.py"

TERMS: Final = (
    Mutant(
        "M45",
        "decide a command on the terms that the stock shows",
        "application/ledger/workbook.py",
        "        if self.terms is not None and type(key) is StockId:\n",
        "        if False:\n",
        LAWS,
    ),
    Mutant(
        "M46",
        "have a walk pass stocks that its step did not reach",
        "application/ledger/terms.py",
        "after=done[-1]",
        "after=page[-1]",
        LAWS,
    ),
    Mutant(
        "M47",
        "forget within a transaction that a policy was set in it",
        "application/ledger/terms.py",
        "        self._covered.add(subject.covers)\n",
        "        pass\n",
        LAWS,
    ),
    Mutant(
        "M48",
        "forget the terms of a new stock after its first part in an atomic batch",
        "application/ledger/terms.py",
        "        self._covered.add(stock.stock_id)",
        "        pass",
        STORIES,
    ),
    Mutant(
        "M49",
        "record the terms of a refused command",
        "application/ledger/batch.py",
        "        self.book.terms.require(keys, self.book)\n",
        "        self.book.terms.require(keys, self.book)\n        record_terms(self.book, keys)\n",
        STORIES,
    ),
)
