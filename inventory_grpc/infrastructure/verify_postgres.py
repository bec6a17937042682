"""Checks a log in PostgreSQL, by a replay into a temporary SQLite file.

Both engines have the same rows, but for a column of SQLite, so the tables of one must equal those
that the other makes of the same events. It is the only module that knows both.

All is read in pages, each in a transaction of its own. One transaction for the whole check would
need a session without time-outs, and while it lasts PostgreSQL could not clean up behind the
writers, so that hot rows become slow. A page of a table is compared after the replay has reached
the head that was read in the same snapshot, so servers may write meanwhile.
"""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Final

import apsw

from inventory_grpc.infrastructure import read_models
from inventory_grpc.infrastructure.log import findings
from inventory_grpc.infrastructure.log.findings import SHOWN
from inventory_grpc.infrastructure.log.replay import Progress, Row, broken_links, play
from inventory_grpc.infrastructure.postgres import verify as of_log
from inventory_grpc.infrastructure.postgres.events import HEAD, NO_END, first_link, read_head
from inventory_grpc.infrastructure.postgres.faults import storage_errors
from inventory_grpc.infrastructure.postgres.opening import check_log
from inventory_grpc.infrastructure.postgres.replay import pages
from inventory_grpc.infrastructure.postgres.server import Server
from inventory_grpc.infrastructure.postgres.statement import Bound, Statement
from inventory_grpc.infrastructure.postgres.wire import Wire
from inventory_grpc.infrastructure.read_models import READ_MODELS
from inventory_grpc.infrastructure.sqlite.replay import SqliteTarget

ROWS: Final = 1_000
"""Rows of a table compared at a time."""

_OF_SQLITE: Final = {"stocks": "position"}
"""The column of a table that only SQLite has, see sqlite/back_links.py."""


def verify(url: str, progress: Progress, *, may_be_unfinished: bool = False) -> Iterator[str]:
    """Yield every difference between the log, its hash chain, and its read models.

    It may be an unfinished copy only where that is said.

    Raises:
        Unusable: there is no log of this program's format.
        StorageError: the server cannot be read.
    """
    server = Server(url)
    check_log(server, may_be_unfinished=may_be_unfinished)
    with (
        tempfile.TemporaryDirectory(prefix="inventory-verify-") as folder,
        closing(apsw.Connection(str(Path(folder) / "fresh.db"))) as fresh,
        storage_errors(),
        closing(server.reader()) as wire,
    ):
        fresh.pragma("journal_mode", "off")
        fresh.pragma("synchronous", "off")
        read_models.create(fresh)
        replay = _Replay(wire, fresh, progress)
        yield from replay.upto(read_head(wire))
        for model in READ_MODELS:
            if not model.check:
                for table in model.tables:
                    yield from _differences(wire, replay, table)
        yield from of_log.differences(wire)


class _Replay:
    """The tables that the log gives, as far as it was replayed."""

    def __init__(self, wire: Wire, fresh: apsw.Connection, progress: Progress) -> None:
        self._wire = wire
        self._progress = progress
        self._position, self._hash = 0, first_link(wire)
        self.fresh = fresh
        self.has_failed = False
        """Whether the log cannot be replayed, so that there is nothing to compare with."""

    def upto(self, head: int) -> Iterator[str]:
        """Replay the log to *head*; yield each inconsistency, and each broken link."""
        for page in pages(self._wire, self._position, head):
            for position in broken_links(page, self._position, self._hash):
                yield findings.broken_link(position)
            self._position, self._hash, *_ = page[-1]
            if not self.has_failed:
                yield from self._play(page)

    def _play(self, page: Sequence[Row]) -> Iterator[str]:
        with self.fresh:
            try:
                yield from play([page], SqliteTarget(self.fresh), self._progress)
            except apsw.ConstraintError as error:
                self.has_failed = True
                yield findings.not_to_be_replayed(error)


class _Table:
    """A table of a read model, in both engines. Its primary key has numbers only."""

    def __init__(self, fresh: apsw.Connection, name: str) -> None:
        found = list(fresh.execute(f"PRAGMA table_info({name})"))  # without computed columns
        columns = [column for _, column, *_ in found if column != _OF_SQLITE.get(name)]
        keys = sorted((place, column) for _, column, *_, place in found if place)
        self._places = [columns.index(column) for _, column in keys]
        key = ", ".join(column for _, column in keys)
        names = [f"after{place}" for place, _ in keys]
        select = f"SELECT {', '.join(columns)} FROM {name} WHERE ({key}) >"  # noqa: S608  our own tables
        order = f"ORDER BY {key} LIMIT {ROWS}"
        self._ours = f"{select} ({', '.join('?' * len(names))}) {order}"
        self._theirs = Statement(
            f"{select} ({', '.join(f'${one}::int8' for one in names)}) {order}"
        )
        self._names = names
        self.first = [-NO_END] * len(names)

    def theirs(self, after: Sequence[int]) -> Bound:
        return self._theirs.bind(**dict(zip(self._names, after, strict=True)))

    def ours(self, fresh: apsw.Connection, after: Sequence[int]) -> list[Row]:
        return fresh.execute(self._ours, after).fetchall()

    def key(self, row: Row) -> list[int]:
        return [row[place] for place in self._places]


def _differences(wire: Wire, replay: _Replay, name: str) -> Iterator[str]:
    """Yield the rows that only PostgreSQL has, and those that only the replay gives."""
    table, left = _Table(replay.fresh, name), {"unexpected": SHOWN, "missing": SHOWN}
    after: list[int] | None = table.first
    while after is not None:
        with wire.one_state():
            [[(head,)], theirs] = wire.run([HEAD.bind(), table.theirs(after)])
        yield from replay.upto(head)
        if replay.has_failed:
            return
        ours = table.ours(replay.fresh, after)
        # both have all rows up to the end of a full page
        ends = [table.key(rows[-1]) for rows in (theirs, ours) if len(rows) == ROWS]
        after = min(ends, default=None)
        for word, one, other in (("unexpected", theirs, ours), ("missing", ours, theirs)):
            others = set(other)
            different = (row for row in one if row not in others)
            upto = [row for row in different if after is None or table.key(row) <= after]
            for row in upto[: left[word]]:
                yield findings.unlike(name, word, row)
                left[word] -= 1
