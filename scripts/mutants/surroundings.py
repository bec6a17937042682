"""Faults around the engine: files, readers, streams, and values that are promised."""

from typing import Final

from scripts.mutants.mutant import Mutant

SURROUNDINGS: Final = (
    Mutant(
        "M18",
        "close the connections of readers while a scan runs",
        "infrastructure/sqlite/readers.py",
        "        while self._reading:\n",
        "        while False:\n",
        "tests/integration/test_readers.py",
    ),
    Mutant(
        "M19",
        "make a new file without the exclusive lock",
        "infrastructure/sqlite/opening.py",
        "locked(database, exclusive=True, patience_seconds=0.0)",
        "locked(database, exclusive=False, patience_seconds=0.0)",
        "tests/integration/test_files_beside.py",
    ),
    Mutant(
        "M20",
        "back up a damaged file",
        "infrastructure/sqlite/backup.py",
        "            check_tail(copy, TAIL)\n",
        "",
        "tests/integration/test_backups.py",
    ),
    Mutant(
        "M21",
        "take an older copy that went on past the mark for the log",
        "infrastructure/sqlite/high_water.py",
        "if found is not None and found.hex() == mark.hash:",
        "if found is not None:",
        "tests/robustness/test_high_water.py",
    ),
    Mutant(
        "M22",
        "refuse a cart for the sake of a hold that is over",
        "application/batch.py",
        "        if not self._free(short):\n",
        "        if False:\n",
        "tests/property/test_histories.py",
    ),
    Mutant(
        "M23",
        "adopt the wall clock at every start",
        "application/clock.py",
        "        agreed = kept.offset if kept and is_ours else self._offset\n",
        "        agreed = self._offset\n",
        "tests/integration/test_wall_clock.py",
    ),
)
