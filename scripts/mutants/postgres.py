"""Mutants of the engine on PostgreSQL."""

from typing import Final

from scripts.mutants.mutant import Mutant

_ORDER: Final = "tests/integration/test_postgres_order.py"

POSTGRES: Final = (
    Mutant(
        "M77",
        "take no lock in PostgreSQL",
        "infrastructure/postgres/first_trip.py",
        "SELECT pg_advisory_xact_lock($key::int8)::text",
        "SELECT $key::int8::text",
        _ORDER,
    ),
    Mutant(
        "M78",
        "let a position be taken twice in PostgreSQL",
        "infrastructure/postgres/log.sql",
        "  position       int8 PRIMARY KEY CHECK (position > 0),",
        "  position       int8 NOT NULL CHECK (position > 0),",
        _ORDER,
    ),
    Mutant(
        "M79",
        "let a silent transaction keep the lock for longer than others wait for it",
        "infrastructure/postgres/server.py",
        "IDLE_SECONDS: Final = 2",
        "IDLE_SECONDS: Final = 20",
        "tests/robustness/test_postgres_lock_holders.py",
    ),
    Mutant(
        "M80",
        "send a follower of PostgreSQL the event again at which it resumes",
        "infrastructure/postgres/event_log.py",
        '_MATCHING: Final = "position > $after',
        '_MATCHING: Final = "position >= $after',
        "tests/robustness/test_followers_moving.py",
    ),
    Mutant(
        "M81",
        "decide without the events that other servers on PostgreSQL have recorded",
        "infrastructure/postgres/transaction.py",
        "return news_of(news[start : start + limit], is_known)",
        "return news_of([], is_known)",
        "tests/robustness/test_servers_on_postgres.py",
    ),
    Mutant(
        "M82",
        "insert a line twice in PostgreSQL that a batch reserves and amends",
        "infrastructure/postgres/read_models/reservations.py",
        "times[line[:2]] == 1",
        "times[line[:2]] >= 1",
        "tests/property/test_tables.py",
    ),
)
