"""Faults of the short way to record plain commands, and of facts that lines share."""

from typing import Final

from scripts.mutants.mutant import Mutant

PLAIN: Final = (
    Mutant(
        "M62",
        "let a plain removal take what is reserved",
        "domain/stock_commands.py",
        "-units) if is_plain and units < available else None",
        "-units) if is_plain and units < on_hand else None",
        "tests/property/test_plain_commands.py",
    ),
    Mutant(
        "M63",
        "record a plain command again for a repeated request",
        "application/ledger/plain.py",
        "        if key is not None and answered.get(key, _UNREAD) is not None:\n"
        "            break\n",
        "",
        "tests/property/test_plain_commands.py",
    ),
    Mutant(
        "M64",
        "read a request in the short way though it has a field that this way ignores",
        "presentation/plain.py",
        "        if len(units) != fewest:  # then these fields leave no room for another one\n"
        '            raise Malformed("there is another field")\n',
        "",
        "tests/property/test_plain_requests.py",
    ),
    Mutant(
        "M65",
        "record a plain dry run",
        "application/ledger/plain.py",
        "not in PLAIN or is_dry or scope",
        "not in PLAIN or scope",
        "tests/property/test_plain_commands.py",
    ),
    Mutant(
        "M66",
        "encode only the first fact of each kind in a row",
        "infrastructure/codec.py",
        "        if fact is not fact_before:",
        "        if type(fact) is not kind_before:",
        "tests/unit/test_codec.py",
    ),
    Mutant(
        "M67",
        "give all lines of a cart the fact of the first one",
        "domain/reservation_commands.py",
        "fact = facts.get(promise)",
        "fact = next(iter(facts.values()), None)",
        "tests/unit/domain/test_reserve_stories.py",
    ),
    Mutant(
        "M91",
        "begin a stock in the short way though its product is unknown",
        "application/ledger/plain.py",
        "if version else book.needs_catalogue)",
        "if version else False)",
        "tests/e2e/test_required_catalogue.py",
    ),
    Mutant(
        "M92",
        "tell no alert of the first event of a stock in the short way",
        "application/ledger/plain.py",
        "NO_ALERTS if version else FIRST_ALERTS",
        "NO_ALERTS",
        "tests/property/test_plain_commands.py",
    ),
)
