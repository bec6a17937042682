"""Faults of the short way to record plain commands."""

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
        "        if len(content) != size + len(product_id) + len(store_id) + len(request_id):\n"
        "            return None\n",
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
)
