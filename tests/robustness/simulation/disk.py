"""A simulated disk with latency, failures and commits of unknown outcome.

It stands for one SQLite file on one disk: one write lock that is not fair; commits that
others see whole, once they are on disk; a commit that failed may be there, or not, or come back
when all processes have closed the file and one opens it again.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

from inventory_grpc.application.ports import Fault, StorageError, T, Transaction
from inventory_grpc.domain.reservation_facts import ReservationExpired
from tests.robustness.simulation.chance import Chance
from tests.robustness.simulation.drafts import Change, Draft
from tests.robustness.simulation.loop import SeededLoop
from tests.robustness.simulation.trace import Trace
from tests.support.memory.store import MemoryStore
from tests.support.memory.tables import Tables

SLOW_SYNC_SECONDS = 3.0
HOP_SECONDS = 0.0005
"""From the event loop to a thread, and back."""
BUSY_SECONDS = 1.0
"""The time that a writer waits for the lock."""


class Condition(Enum):
    """The behaviour of the disk for a while."""

    WELL = "well"
    SLOW = "slow"
    BUSY = "locked by somebody else"
    FULL = "full"
    BROKEN = "broken for writing"
    GONE = "broken for reading, too"


class Strike(NamedTuple):
    """One fault, of the next transaction that writes."""

    fault: Fault
    at_append: int | None = None
    """Fail when so much was written; None: fail while committing."""


class Commit(NamedTuple):
    """The content of the disk, and the writer of each part."""

    first: int
    last: int
    writer: str
    base: int
    """The lead of the writer's time over the loop's: the wall clock's lead at its start."""
    max_base: int
    """The highest base of all processes started so far."""
    worked_at: float
    begun_at: float


@dataclass
class Disk:
    """One file, and all that can befall it."""

    loop: SeededLoop
    chance: Chance
    trace: Trace
    sync_seconds: float = 0.004
    tables: Tables = field(default_factory=lambda: MemoryStore("simulated")._tables)
    condition: Condition = Condition.WELL
    strikes: list[Strike] = field(default_factory=list)
    ghost: tuple[str, int, Change] | None = None
    """A commit that failed, but may be found when the file is opened anew."""
    commits: list[Commit] = field(default_factory=list)
    on_commit: list[Callable[[], None]] = field(default_factory=list)
    ambushes: list[Callable[[str], None]] = field(default_factory=list)
    """Faults for the next commits: during each, or right after it."""
    max_base: int = 0
    holder: str = ""
    _waiting: list["asyncio.Future[None]"] = field(default_factory=list)

    @asynccontextmanager
    async def locked(self, who: str) -> AsyncIterator[None]:
        """Hold the write lock; the first waiter to check gets it next."""
        until = self.loop.time() + BUSY_SECONDS
        while self.holder:
            waiter = self.loop.create_future()
            self._waiting.append(waiter)
            try:
                async with asyncio.timeout_at(until):
                    await waiter
            except TimeoutError:
                self.trace.saw(who, "lock: waited for in vain")
                raise StorageError(Fault.BUSY) from None
            finally:
                self._waiting.remove(waiter)
        self.holder = who
        try:
            yield
        finally:
            self.holder = ""
            for waiter in self._waiting:
                if not waiter.done():
                    waiter.set_result(None)

    async def transact(
        self, who: str, base: int, work: Callable[[Transaction], T], *, unasked: bool
    ) -> T:
        """Run *work* and commit, for a process whose time is *base* ahead."""
        begun_at = self.loop.time()
        await self.chance.pause(HOP_SECONDS)
        self.check_write(committing=False)
        async with self.locked(who):
            strike = self.strikes[0] if self.strikes else None
            fails = None
            if strike and strike.at_append is not None:
                fails = strike.at_append, StorageError(strike.fault)
            draft, worked_at = Draft(self.tables, fails), self.loop.time()
            try:
                result = work(draft)
            except StorageError:
                draft.take_back()
                if strike:
                    self.strikes.remove(strike)
                self.trace.saw(who, "transaction: failed in the middle")
                raise
            except BaseException:
                draft.take_back()
                raise
            change = draft.take_off(begun_at, worked_at, unasked=unasked)
            await self._commit(who, base, change)
        await self.chance.pause(HOP_SECONDS)
        return result

    async def _commit(self, who: str, base: int, change: Change) -> None:
        if change.is_empty:
            return  # nothing is written, nothing is synced, nothing can fail
        try:
            await self._sync(who)
        except asyncio.CancelledError:
            self._doubt(who, base, change, "killed while committing")
            raise
        try:
            self._check_commit()
        except StorageError:
            self._doubt(who, base, change, "commit failed")
            raise
        self._put(who, base, change)

    def _check_commit(self) -> None:
        if self.strikes and self.strikes[0].at_append is None:
            raise StorageError(self.strikes.pop(0).fault, committing=True)
        self.check_write(committing=True)

    async def _sync(self, who: str) -> None:
        if self.ambushes:
            delay = self.chance.random() * 2 * self.sync_seconds
            self.loop.call_later(delay, self.ambushes.pop(0), who)
            await asyncio.sleep(self.sync_seconds)
        if self.condition is Condition.SLOW:
            seconds = self.chance.choice((SLOW_SYNC_SECONDS * self.chance.random(), 10.5))
            self.trace.saw(who, "sync: slow")
            await asyncio.sleep(seconds if self.chance.happens(0.3) else self.sync_seconds)
        else:
            await self.chance.pause(self.sync_seconds)

    def _doubt(self, who: str, base: int, change: Change, why: str) -> None:
        """Decide what becomes of a commit of which its writer cannot know."""
        fate = self.chance.choice(("kept", "lost", "may come back"))
        self.trace.saw(who, f"{why}: {fate}", *(event.position for event in change.events))
        if fate == "kept":
            self._put(who, base, change)
        elif fate == "may come back":
            self.ghost = who, base, change

    def _put(self, who: str, base: int, change: Change) -> None:
        """Have it on disk, visible to all; a failed commit can no longer come back."""
        self.ghost = None
        first = self.tables.head + 1
        change.apply(self.tables)
        last = self.tables.head
        if last >= first:
            times = change.worked_at, change.begun_at
            self.commits.append(Commit(first, last, who, base, self.max_base, *times))
            self._note_expiry(who, change)
        self.trace.note(who, "committed", first, last)
        for tell in self.on_commit:
            tell()

    def _note_expiry(self, who: str, change: Change) -> None:
        if any(isinstance(event.fact, ReservationExpired) for event in change.events):
            by = "the loop" if change.unasked else "a command"
            self.trace.saw(who, f"expired by {by}")

    def check_write(self, *, committing: bool) -> None:
        """Fail as the disk's condition demands."""
        if self.condition in {Condition.BROKEN, Condition.GONE}:
            raise StorageError(Fault.BROKEN, committing)
        if self.condition is Condition.FULL and (committing or self.chance.happens(0.5)):
            raise StorageError(Fault.FULL, committing)
        if self.condition is Condition.BUSY and not committing and self.chance.happens(0.8):
            raise StorageError(Fault.BUSY)

    def check_read(self) -> None:
        if self.condition is Condition.GONE:
            raise StorageError(Fault.BROKEN)

    def open_anew(self) -> None:
        """Read the file as the first process to open it: unsynced writes may be there."""
        if self.ghost:
            who, base, change = self.ghost
            self.trace.saw(who, "a failed commit came back", *(e.position for e in change.events))
            self._put(who, base, change)

    async def probe(self, who: str) -> None:
        """Write a little and sync it: nothing that failed before can come back after that."""
        await self.chance.pause(HOP_SECONDS)
        self.check_write(committing=False)
        async with self.locked(who):
            await self.chance.pause(self.sync_seconds)
            self.check_write(committing=True)
            if self.ghost:
                self.trace.saw(who, "a failed commit was written over")
            self.ghost = None
