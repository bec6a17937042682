"""Mutants of backorders, ring-fences and alerts."""

from typing import Final

from scripts.mutants.mutant import Mutant

LAWS: Final = "tests/property/test_histories.py"

PROMISES: Final = (
    Mutant(
        "M50",
        "let a fill jump the queue",
        "application/ledger/fills.py",
        "        keys = self._read.waiting[stream]\n",
        "        keys = self._read.waiting[stream][::-1]\n",
        LAWS,
    ),
    Mutant(
        "M51",
        "tell an alert again with the next event",
        "domain/alerts.py",
        "    if after.is_out != before.is_out:\n",
        "    if after.is_out or before.is_out:\n",
        LAWS,
    ),
    Mutant(
        "M52",
        "let an abandoned cart drain a fence",
        "domain/reservation_facts.py",
        "_taken(-self.backordered, self.channel, -self.fenced)",
        "_taken(-self.backordered, self.channel, 0)",
        LAWS,
    ),
    Mutant(
        "M53",
        "give fenced units back before free ones",
        "domain/reservation.py",
        "        return backordered, max(0, units - backordered - free)\n",
        "        return backordered, min(units - backordered, self.fenced + 0 * free)\n",
        LAWS,
    ),
    Mutant(
        "M54",
        "count backordered units as short",
        "domain/levels.py",
        "            lacking = self.promised - self.sellable\n",
        "            lacking = self.reserved - self.sellable\n",
        LAWS,
    ),
    Mutant(
        "M55",
        "let a line keep its place in the queue when it is amended upwards",
        "domain/reservation.py",
        "            since = position\n",
        "            since = since or position\n",
        LAWS,
    ),
    Mutant(
        "M56",
        "remove goods that came in for a promise, because its fill was late",
        "domain/stock_commands.py",
        "        book.fill_due(self.touches)\n",
        "",
        "tests/property/test_promises.py",
    ),
    Mutant(
        "M57",
        "refuse units of a fence that an own channel could have",
        "domain/levels.py",
        "        return min(spare + self.fence(channel), self.free(channel))\n",
        "        return min(max(spare, self.fence(channel)), self.free(channel))\n",
        "tests/property/test_promises.py",
    ),
    Mutant(
        "M58",
        "build the table of lines anew without what ended before of a line",
        "infrastructure/rows/reservations.py",
        "            moved = before[0] + moved[0], before[1] + moved[1], before[2] + moved[2]\n",
        "            pass\n",
        "tests/property/test_tables.py",
    ),
)
