"""Mutants of the writer and the log, one for each promise to callers."""

from typing import Final

from scripts.mutants.mutant import Edit, Mutant

SIMULATION: Final = "tests/robustness/test_simulation.py"

ENGINE: Final = (
    Mutant(
        "M1",
        "acknowledge before the commit",
        "infrastructure/sqlite/storage.py",
        "self.write_lock.begin(connection)\n        try:",
        'connection.execute("COMMIT") if connection.in_transaction else None\n'
        "            self.write_lock.begin(connection)\n"
        "        try:",
        "tests/robustness/test_killed.py",
        Edit(
            "infrastructure/sqlite/storage.py",
            "with storage_errors(path, connection, committing=True):\n"
            '                connection.execute("COMMIT")',
            "pass",
        ),
    ),
    Mutant(
        "M2",
        "do not sync",
        "infrastructure/sqlite/connection.py",
        '"full" if full',
        '"off" if full',
        "tests/robustness/test_power_cut.py",
    ),
    Mutant(
        "M3",
        "do not remember requests",
        "application/ledger/batch.py",
        "        self.remembered.append((key, answered))\n",
        "",
        SIMULATION,
    ),
    Mutant(
        "M4",
        "decide by the state read when the batch began",
        "application/ledger/batch.py",
        "                return book, command.decide(book)\n",
        "                from copy import copy\n"
        "                stale, read = copy(book), self.__dict__.setdefault('stale', {})\n"
        "                stale.get = lambda key: read.setdefault(key, book.get(key))\n"
        "                return book, command.decide(stale)\n",
        "tests/e2e/test_concurrent_demand.py",
    ),
    Mutant(
        "M5",
        "publish before the commit",
        "application/ledger/writer.py",
        "self._drive(transaction, self._states, self._clock, work, prefetched)",
        "(lambda result: (self._head.advance(result.batch.head), result)[1])(\n"
        "                self._drive(transaction, self._states, self._clock, work, prefetched))",
        SIMULATION,
    ),
    Mutant(
        "M6",
        "resume with the last event again",
        "infrastructure/sqlite/event_log.py",
        "FROM {events} WHERE position > ? AND position <= ? ",
        "FROM {events} WHERE position >= ? AND position <= ? ",
        "tests/contract/test_event_log.py",
    ),
    Mutant(
        "M7",
        "lose events between history and live",
        "application/following.py",
        '                await pause("catchup_to_live")\n',
        '                await pause("catchup_to_live")\n'
        "                await asyncio.sleep(0)\n"
        "                position = max(position, head.position)\n",
        SIMULATION,
    ),
    Mutant(
        "M8",
        "expire by the wall clock",
        "application/ledger/clock.py",
        "        time = self._monotonic() + self._offset\n",
        "        time = self._wall()\n",
        SIMULATION,
    ),
    Mutant(
        "M9",
        "let a commit and a release both win",
        "domain/reservation_commands.py",
        "    held = reservation.holds()\n",
        "    held = {stock_id: line.quantity for stock_id, line in reservation.lines.items()}\n",
        SIMULATION,
    ),
    Mutant(
        "M10",
        "continue after SQLite has rolled back by itself",
        "infrastructure/sqlite/transaction.py",
        "        execute_with(self._connection, _REQUESTS, rows_of(answered))\n",
        "        try:\n"
        "            execute_with(self._connection, _REQUESTS, rows_of(answered))\n"
        "        except apsw.Error:\n"
        "            pass\n",
        "tests/integration/test_storage_errors.py",
        Edit(
            "infrastructure/sqlite/storage.py",
            "                _check_open(connection)\n",
            "                if not connection.in_transaction:\n"
            "                    connection.execute('BEGIN')\n",
        ),
    ),
    Mutant(
        "M11",
        "report a failed sync as not applied",
        "application/ledger/circuit_breaker.py",
        "    if error.committing:\n",
        "    if False:\n",
        SIMULATION,
    ),
    Mutant(
        "M12",
        "give a cancelled caller the answer of the next",
        "application/ledger/mailbox.py",
        "        for entry in answered:\n",
        "        answered = [entry for entry in answered if not entry.caller.done()]\n"
        "        for entry in answered:\n",
        SIMULATION,
    ),
    Mutant(
        "M13",
        "count refusals as failures",
        "application/ledger/loop.py",
        "            self._mailbox.give(entries, answers)\n",
        "            from inventory_grpc.domain.refusals import Refusal\n"
        "            for answer in answers:\n"
        "                if isinstance(answer, Refusal):\n"
        "                    from inventory_grpc.application.ports import Fault\n"
        "                    self._breaker.failed(StorageError(Fault.BUSY))\n"
        "            self._mailbox.give(entries, answers)\n",
        SIMULATION,
    ),
    Mutant(
        "M14",
        "check the deadline only on arrival",
        "application/ledger/mailbox.py",
        "            if entry.deadline is not None and entry.deadline <= now:\n",
        "            if entry.deadline is not None and entry.deadline < 0 * now:\n",
        SIMULATION,
    ),
    Mutant(
        "M15",
        "skip an event of a read model",
        "infrastructure/sqlite/transaction.py",
        "        read_models.project(connection, recorded)\n",
        "        try:\n"
        "            read_models.project(connection, recorded)\n"
        "        except apsw.Error:\n"
        "            pass\n",
        "tests/integration/test_storage_errors.py tests/integration/test_snapshots.py",
    ),
    Mutant(
        "M16",
        "send the text of an exception to callers",
        "application/failures.py",
        "    return Internal(error_id)",
        "    return Internal(str(error))",
        "tests/unit/presentation/test_translation.py",
    ),
    Mutant(
        "M17",
        "continue after a failed sync may have lost pages",
        "infrastructure/sqlite/storage.py",
        "            abandon(connection)\n",
        "            close(connection)\n",
        "tests/integration/test_failed_syncs.py",
    ),
    Mutant(
        "M90",
        "take a repeat of the last request that is stored for a new request",
        "infrastructure/sqlite/transaction.py",
        "key[1] <= last]",
        "key[1] < last]",
        "tests/contract/test_requests.py",
    ),
)
