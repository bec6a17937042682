"""One small story, struck at every turn of the loop, and so at every await in it.

One command runs among others. At one turn it is cancelled, or its process is killed, or all
are cancelled. Afterwards the state must be as if each command had happened, or had not.
"""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import aclosing
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final, NamedTuple

from inventory_grpc.application.ledger.circuit_breaker import BreakerState
from inventory_grpc.application.ledger.submission import Submission
from inventory_grpc.application.outcomes import Outcome
from inventory_grpc.application.queries.events import EventFilter
from inventory_grpc.application.queries.stock import (
    ProductInventoryById,
    StocksById,
    find_product_inventory,
)
from inventory_grpc.domain.book import Command
from inventory_grpc.domain.event import Cause
from inventory_grpc_protos.v1.events_pb2 import Event
from tests.robustness.simulation.loop import run
from tests.robustness.simulation.process import Process
from tests.robustness.simulation.profile import Profile
from tests.robustness.simulation.stage import Stage, set_up
from tests.support.engine import Engine
from tests.support.model import Model
from tests.support.world import KETTLES, TOASTERS, add, commit, release, reserve

QUIET: Final = Profile(
    processes=2,
    clients=0,
    requests=0,
    followers=0,
    readers=0,
    faults=(),
    sync_seconds=0.004,
    network_seconds=0.0,
    loses=0.0,
    cancels=0.0,
    faulty=0.0,
    think_seconds=0.0,
    scarce=False,
    disorder=1.0,
    max_states=100,
    limits={},
)
"""Two processes, and nothing that fails by itself."""

CART: Final = reserve({KETTLES: 1, TOASTERS: 2}, "cart")
SETTLE_SECONDS: Final = 2.0

Victim = Callable[[Engine], Coroutine[Any, Any, object]]


class Told(NamedTuple):
    """The outcome of a story."""

    turns: int
    """Turns of the loop from the first call to the end of the last."""
    recorded: bool
    """Whether the cart is in the log."""


class Blow(Enum):
    """The event at the chosen turn."""

    GIVEN_UP = "its caller gives up"
    KILLED = "its process is killed"
    POWER_CUT = "all processes are killed"


def record(command: Command, request_id: str) -> Victim:
    """Return what asks an engine for *command*."""
    asked = Submission.of(command, Cause(request_id), repr(command).encode())

    async def ask(engine: Engine) -> Outcome:
        return await engine.ledger.record(asked)

    return ask


async def follow(engine: Engine) -> None:
    """Follow the log from the beginning, for ever."""
    following = engine.followers.follow(
        0, EventFilter(), max_events=1, heartbeat_seconds=1.0, stop_at=None
    )
    async with aclosing(following) as messages:
        async for _ in messages:
            pass


async def read(engine: Engine) -> None:
    """Ask for what takes a while to read."""
    await engine.queries.latest(2).read(StocksById([KETTLES, TOASTERS]))
    await find_product_inventory(engine.queries.latest(2), ProductInventoryById("kettle", limit=10))
    await (await engine.queries.at_position(1)).get(KETTLES)


@dataclass(frozen=True)
class Moment:
    """A story of a seed, and the turn of it at which the blow falls; at 0, there is none."""

    victim: Victim
    seed: int
    blow: Blow = Blow.GIVEN_UP
    turn: int = 0

    def play(self) -> Told:
        """Play it, and check how everything is afterwards.

        Raises:
            AssertionError: something is left of who was struck, or of what they did.
        """
        stage = set_up(self.seed, QUIET)
        with stage.trace.listening():
            told = run(stage.loop, self._story(stage))
        assert not stage.trace.violations, stage.trace.violations
        return told

    async def _story(self, stage: Stage) -> Told:
        one, other = stage.processes
        for process in stage.processes:
            await stage.bring_up(process)
        for stock_id in (KETTLES, TOASTERS):
            await record(add(10, stock_id), f"{stock_id}")(one.engine)
        begun = stage.loop.turns
        tasks = [
            one.spawn(record(add(1), "before")(one.engine)),
            one.spawn(self.victim(one.engine)),
            one.spawn(record(reserve(1, "after"), "after")(one.engine)),
            other.spawn(record(reserve(1, "elsewhere"), "elsewhere")(other.engine)),
        ]
        victim = tasks.pop(1)
        if self.turn:
            stage.loop.at_turn[begun + self.turn] = lambda: self._strike(stage, victim)
        await asyncio.wait([victim, *tasks], timeout=0.2)
        turns = stage.loop.turns - begun
        victim.cancel()
        await asyncio.wait([victim, *tasks])
        if self.turn and self.blow is Blow.GIVEN_UP:
            assert not any(task.cancelled() or task.exception() for task in tasks)
        recorded = await self._check(stage, one)
        for process in stage.processes:
            await process.drain()
        await asyncio.sleep(0.1)
        return Told(turns, recorded)

    def _strike(self, stage: Stage, victim: "asyncio.Task[object]") -> None:
        match self.blow:
            case Blow.GIVEN_UP:
                victim.cancel()
            case Blow.KILLED:
                stage.processes[0].kill()
            case Blow.POWER_CUT:
                for process in stage.processes:
                    process.kill()

    async def _check(self, stage: Stage, one: Process) -> bool:
        """See that nothing is left but whole commands; return whether one of them is the cart."""
        for process in stage.processes:
            if not process.is_up:
                await asyncio.sleep(SETTLE_SECONDS)
                await stage.bring_up(process)
        await asyncio.sleep(SETTLE_SECONDS)
        assert not stage.disk.holder, "the lock is held"
        for process in stage.processes:
            engine = process.engine
            assert len(engine.ledger._mailbox) == 0, "a place in the mailbox is taken"
            assert engine.breaker.state is BreakerState.CLOSED
            assert not engine.head.moved._waiters, "somebody still waits for news"
            assert [task for task in process._tasks if task is not process._ledger] == []
        found = [Event.FromString(data) for data in stage.disk.tables.encoded]
        Model(stage.disk.tables.encoded)
        cart = [event for event in found if event.request_id == "cart"]
        assert len(cart) in {0, 2}, "a part of the cart is there"
        again = await record(CART, "cart")(one.engine)
        assert isinstance(again, Outcome)
        assert again.replayed == bool(cart), "the answer is not what became of it"
        if cart:
            assert again.position == cart[-1].position
        await self._check_all_goes_on(stage)
        return bool(cart)

    async def _check_all_goes_on(self, stage: Stage) -> None:
        """Check that every request can be retried on any process and was done once."""
        one, other = stage.processes
        for command, request_id in (
            (add(1), "before"),
            (reserve(1, "after"), "after"),
            (reserve(1, "elsewhere"), "elsewhere"),
            (CART, "cart"),
            (commit(name="cart"), "paid"),
            (release(name="after"), "released"),
        ):
            await record(command, request_id)(other.engine)
            await record(command, request_id)(one.engine)
        model = Model(stage.disk.tables.encoded)
        levels = {key: (shelf.on_hand, shelf.reserved) for key, shelf in model.shelves.items()}
        assert levels == {KETTLES: (10, 1), TOASTERS: (8, 0)}
