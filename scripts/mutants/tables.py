"""Faults of the tables and sessions in PostgreSQL."""

from typing import Final

from scripts.mutants.mutant import Mutant

TABLES_AND_SESSIONS: Final = (
    Mutant(
        "M71",
        "write a log whose format a later release has raised",
        "infrastructure/postgres/migrations.py",
        "    if in_force not in formats():\n",
        "    if False:\n",
        "tests/integration/test_migrate_postgres.py",
    ),
    Mutant(
        "M72",
        "take an index whose making was broken off for one that is there",
        "infrastructure/postgres/catalogue.py",
        "SELECT 'index', tables.relname::text, indexes.relname::text, indisvalid\n",
        "SELECT 'index', tables.relname::text, indexes.relname::text, true\n",
        "tests/integration/test_migrate_postgres.py",
    ),
    Mutant(
        "M73",
        "trust the settings of a session that a pooler has dropped",
        "infrastructure/postgres/opening.py",
        "        server.check_session()\n",
        "",
        "tests/operations/postgres/test_pgbouncer.py",
    ),
)
