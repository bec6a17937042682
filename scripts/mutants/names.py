"""Faults of the names of a log, which it has after it may have lost events."""

from typing import Final

from scripts.mutants.mutant import Mutant

NAMES: Final = (
    Mutant(
        "M68",
        "write to a log after a failover that may have lost events",
        "infrastructure/postgres/place.py",
        "    if move is Move.NONE or (is_trusted and move is not Move.RESTORED):\n",
        "    if move is not Move.NOT_TOLD:\n",
        "tests/integration/test_log_place.py",
    ),
    Mutant(
        "M69",
        "accept a position beyond the end of the name that a follower knows",
        "application/following.py",
        "(end is None or position > end)",
        "end is None",
        "tests/unit/application/test_following_ends.py",
    ),
    Mutant(
        "M70",
        "go on under the old name after a log was adopted",
        "infrastructure/postgres/first_trip.py",
        "    if current != log_id:\n",
        "    if current is None:\n",
        "tests/integration/test_log_names.py",
    ),
)
