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
        "application/ledger/batch.py",
        "        if not self._free(shortage):\n",
        "        if False:\n",
        "tests/property/test_histories.py",
    ),
    Mutant(
        "M23",
        "adopt the wall clock at every start",
        "application/ledger/clock.py",
        "        agreed = kept.offset if kept and is_ours else self._offset\n",
        "        agreed = self._offset\n",
        "tests/integration/test_wall_clock.py",
    ),
    Mutant(
        "M24",
        "take a file of callers that cannot be read for an empty one",
        "infrastructure/callers_file.py",
        "            text = file.read(MAX_BYTES + 1)\n    except OSError as error:\n"
        '        raise BadCallers(f"{path}: {error.strerror}") from None\n',
        "            text = file.read(MAX_BYTES + 1)\n    except OSError:\n        text = b''\n",
        "tests/integration/test_callers_file.py",
    ),
    Mutant(
        "M25",
        "have readers checkpoint when they close",
        "infrastructure/sqlite/connection.py",
        "            connection.wal_autocheckpoint(0)\n"
        "            connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)\n",
        "            connection.wal_autocheckpoint(0)\n",
        "tests/integration/test_checkpoints.py",
    ),
    Mutant(
        "M26",
        "leave the WAL as large as a long read has made it",
        "infrastructure/sqlite/connection.py",
        '        connection.pragma("journal_size_limit", WAL_LIMIT_BYTES)\n',
        "",
        "tests/integration/test_checkpoints.py",
    ),
    Mutant(
        "M27",
        "keep streams of commands that have ended",
        "presentation/command_stream.py",
        "            self._open.discard(stream)\n",
        "            pass\n",
        "tests/unit/presentation/test_command_stream.py",
    ),
    Mutant(
        "M28",
        "wait 600 s for a reader that takes nothing",
        "presentation/stalled_readers.py",
        "MAX_SECONDS: Final = 60.0\n",
        "MAX_SECONDS: Final = 600.0\n",
        "tests/unit/presentation/test_promised_limits.py",
    ),
    Mutant(
        "M29",
        "let in 500 calls in bulk",
        "presentation/interceptors/admission.py",
        "    bulk: int = 50\n",
        "    bulk: int = 500\n",
        "tests/unit/presentation/test_promised_limits.py",
    ),
    Mutant(
        "M30",
        "give storage up after 600 s",
        "application/ledger/loop.py",
        "GIVE_UP_SECONDS: Final = 60.0\n",
        "GIVE_UP_SECONDS: Final = 600.0\n",
        "tests/unit/application/test_promised_times.py",
    ),
    Mutant(
        "M31",
        "have holds that are over yield to commands for 2 s",
        "application/ledger/loop.py",
        "EXPIRY_PATIENCE_MICROS: Final = 200_000\n",
        "EXPIRY_PATIENCE_MICROS: Final = 2_000_000\n",
        "tests/unit/application/test_promised_times.py",
    ),
)
