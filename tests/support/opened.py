"""The engine of a server on a real file, for tests that need no gRPC."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import psycopg

from inventory_grpc import bootstrap
from inventory_grpc.application.ledger.submission import Submission
from inventory_grpc.application.outcomes import Outcome
from inventory_grpc.application.ports import MonotonicClock, WallClock
from inventory_grpc.application.queries.stock import find_stock
from inventory_grpc.domain.book import Command
from inventory_grpc.domain.event import Cause
from inventory_grpc.domain.levels import Levels
from inventory_grpc.domain.promises import PLAINLY
from inventory_grpc.domain.refusals import Refusal
from inventory_grpc.domain.values import StockId
from inventory_grpc.infrastructure import clocks
from inventory_grpc.infrastructure.sqlite.connection import Database
from inventory_grpc.infrastructure.sqlite.verify import verify
from inventory_grpc.infrastructure.verify_postgres import verify as verify_postgres
from inventory_grpc.server.environment import load
from inventory_grpc_protos.v1.events_pb2 import Event
from tests.support.model import Model
from tests.support.stock_reads import StockReads
from tests.support.world import KETTLES

PATIENCE_SECONDS: Final = 20.0
"""The time that a test waits for a condition."""


def _fingerprint(command: Command) -> bytes:
    """Return the text of *command*, as files of earlier releases have it.

    Fields that came later are left out where they are not set, as on the wire.
    """
    text = repr(command)
    for unset in _CAME_LATER:
        text = text.replace(f", {unset}", "")
    return text.encode()


_CAME_LATER: Final = ("state=None", "channel=None", "reacquire=False", f"asked={PLAINLY}")


@dataclass(frozen=True)
class Opened:
    """One process at work on a file."""

    database: Path | str
    """The file, or the URL of a database in PostgreSQL."""
    parts: bootstrap.Engine

    @property
    def path(self) -> Path:
        """Return the file."""
        assert isinstance(self.database, Path)
        return self.database

    def ask(self, command: Command, request_id: str = "") -> "asyncio.Task[Outcome]":
        """Put *command* into the mailbox, in the order of these calls, and do not wait."""
        asked = Submission.of(command, Cause(request_id), _fingerprint(command))
        return asyncio.ensure_future(self.parts.ledger.record(asked))

    async def record(self, command: Command, request_id: str = "") -> Outcome:
        """Ask for *command*, and wait for the answer."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await self.ask(command, request_id)

    async def answers(self, *asked: "asyncio.Task[Outcome]") -> list[Outcome | Refusal]:
        """Return how each was answered; an error that is no refusal comes through."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            answers = await asyncio.gather(*asked, return_exceptions=True)
        for answer in answers:
            if isinstance(answer, BaseException) and not isinstance(answer, Refusal):
                raise answer
        return [answer for answer in answers if isinstance(answer, Outcome | Refusal)]

    async def levels(self, stock_id: StockId = KETTLES, min_position: int = 0) -> Levels:
        """Return what a query says of a stock."""
        return (await find_stock(self.parts.queries.latest(min_position), stock_id)).value.levels

    @property
    def stocks(self) -> StockReads:
        return StockReads(self.parts.queries, self.parts.answers, self.parts.shared)

    async def until(self, position: int) -> None:
        """Wait until this process has heard of *position*."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while self.parts.head.position < position:
                await self.parts.head.moved.wait()


@asynccontextmanager
async def opened(
    path: Path | str,
    *,
    wall: WallClock = clocks.wall,
    monotonic: MonotonicClock = clocks.monotonic,
    boot: Callable[[], str] = clocks.boot,
    **chosen: object,
) -> AsyncIterator[Opened]:
    """Open the engine on *path*, as a server with these settings would."""
    settings = load({}, listen="127.0.0.1:0", database=path, **chosen)
    async with bootstrap.engine(settings, wall=wall, monotonic=monotonic, boot=boot) as parts:
        yield Opened(path, parts)


def rows(path: Path | str, query: str, *bindings: object) -> list[tuple[Any, ...]]:
    """Return what is in the database, read past the engine."""
    if isinstance(path, str):
        assert not bindings
        with psycopg.connect(path) as connection:
            return connection.execute(query.encode()).fetchall()
    with closing(Database(path).reader()) as connection:
        return connection.execute(query, bindings).fetchall()


def table_of(path: Path | str, name: str) -> list[tuple[Any, ...]]:
    """Return all rows of a table, in order."""
    return rows(path, f"SELECT * FROM {name} ORDER BY 1, 2")  # noqa: S608  our own tables


def change(path: Path | str, statement: str, *bindings: object) -> None:
    """Change the database behind the engine's back, page checksums of a file included."""
    if isinstance(path, str):
        assert not bindings
        with psycopg.connect(path) as connection:
            assert connection.execute(statement.encode()).rowcount, f"{statement} changed nothing"
        return
    with closing(Database(path).writer()) as connection:
        connection.execute(statement, bindings)
        assert connection.changes(), f"{statement} changed nothing"


@contextmanager
def nobody_else_writes(path: Path) -> Iterator[None]:
    """Keep every server from writing meanwhile, as another process at work would."""
    with closing(Database(path).writer()) as connection:
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        finally:
            connection.execute("ROLLBACK")


def stored(path: Path | str) -> list[bytes]:
    """Return all events, as they are stored."""
    return [event for (event,) in rows(path, "SELECT event FROM events ORDER BY position")]


def events(path: Path | str) -> list[Event]:
    return [Event.FromString(event) for event in stored(path)]


def differences(path: Path | str) -> list[str]:
    """Return how the tables differ from what the log says."""
    if isinstance(path, str):
        return list(verify_postgres(path, lambda _: None))
    return list(verify(Database(path), lambda _: None))


def checked(path: Path | str, *, silent: int = 0) -> Model:
    """Check at every event what is promised, and every table; return what has become of it.

    The first *silent* events are from before there were alerts.
    """
    found = differences(path)
    assert not found, found
    return Model(stored(path), silent=silent)


def requests_of(log: Sequence[Event]) -> dict[str, int]:
    """Return how many events each request has recorded."""
    found: dict[str, int] = {}
    for event in log:
        if event.request_id:
            found[event.request_id] = found.get(event.request_id, 0) + 1
    return found


def hash_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
