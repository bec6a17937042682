"""Mutants of the states of units."""

from typing import Final

from scripts.mutants.mutant import Mutant

STATES: Final = (
    Mutant(
        "M39",
        "let a state have fewer units than none",
        "domain/stock.py",
        "        if after.units_in(state) < 0:\n",
        "        if after.on_hand < 0:\n",
        "tests/property/test_histories.py",
    ),
    Mutant(
        "M40",
        "make units available that are not sellable",
        "domain/levels.py",
        "            spare = self._promisable - self.reserved\n",
        "            spare = self.on_hand - self.reserved\n",
        "tests/property/test_histories.py",
    ),
)
