"""Another process at work on the file, as far as a server can tell."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from inventory_grpc.infrastructure.sqlite.connection import Database


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Keep every server from writing meanwhile."""
    with closing(Database(path).writer()) as connection:
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        finally:
            connection.execute("ROLLBACK")
