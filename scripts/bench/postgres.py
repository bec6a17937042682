"""A schema in PostgreSQL for a part of the benchmark, and servers on it."""

import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import psutil
import psycopg
from psycopg import sql

from scripts.bench.figures import BenchmarkFailed
from scripts.bench.measuring import Bench
from scripts.bench.servers import Server, serving


@dataclass(frozen=True)
class Schema:
    """A new schema; the processes of PostgreSQL are known if it runs on this machine."""

    url: str
    process_ids: Sequence[int]

    @contextmanager
    def serving(self, log: Path, *options: str) -> Iterator[Server]:
        """Serve from it, with the processes of PostgreSQL among those of the server."""
        with serving(self.url, log, *options) as server:
            yield replace(server, process_ids=(*server.process_ids, *self.process_ids))


def url_of(bench: Bench, part: str) -> str:
    """Return the URL of the database that *part* needs.

    Raises:
        BenchmarkFailed: the run has none.
    """
    if bench.options.postgres is None:
        raise BenchmarkFailed(f"{part}: name an empty database, --postgres postgresql://…")
    return bench.options.postgres


@contextmanager
def new_schema(url: str) -> Iterator[Schema]:
    """Make a schema in the database at *url*, which is dropped on exit."""
    name = f"bench_{secrets.token_hex(6)}"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(name)))
        postmaster = _parent(connection.info.backend_pid)
    try:
        yield Schema(f"{url}{'&' if '?' in url else '?'}options=-csearch_path%3D{name}", postmaster)
    finally:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(sql.SQL("DROP SCHEMA {} CASCADE").format(sql.Identifier(name)))


def _parent(process: int) -> Sequence[int]:
    """Return the process of PostgreSQL that started *process*, if it is on this machine."""
    if not psutil.pid_exists(process):
        return ()
    found = psutil.Process(process)
    return (found.ppid(),) if found.name().startswith("postgres") else ()
