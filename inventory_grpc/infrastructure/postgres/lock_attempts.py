"""Runs a part of a migration, again if a lock that it needs was not given in time."""

import time
from collections.abc import Callable
from typing import Final

import psycopg

from inventory_grpc.application.store import Unusable
from inventory_grpc.infrastructure.postgres.faults import state_of

Say = Callable[[str], None]

ATTEMPTS: Final = 30
PAUSE_SECONDS: Final = 1.0
"""The time between two attempts, in which what had to wait goes on."""

_MAY_PASS: Final = frozenset({"55P03", "40P01"})
"""The SQLSTATE of a lock that was not given in time, and of a deadlock."""


class LockTaken(Exception):
    """Another process holds a lock that is not waited for in PostgreSQL."""


def attempt(what: str, part: Callable[[], None], say: Say) -> None:
    """Run *part*, again if a lock was not given in time; *say* tells that of *what*.

    Raises:
        Unusable: that happened `ATTEMPTS` times.
    """
    for number in range(1, ATTEMPTS + 1):
        try:
            part()
        except (psycopg.Error, LockTaken) as error:
            if isinstance(error, psycopg.Error) and state_of(error) not in _MAY_PASS:
                raise
            said = f"{what}: waiting for a lock ({error})".replace("\n", " ")
            if number == ATTEMPTS:
                raise Unusable(
                    f"{said}, after {ATTEMPTS} attempts: pg_locks and pg_stat_activity show who "
                    "holds it; what was done before is kept, so run this again"
                ) from error
            say(f"{said}: trying again")
            time.sleep(PAUSE_SECONDS)
        else:
            return
