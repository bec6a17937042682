"""Properties under faults: no answer is false, and a retry is done once."""

import asyncio
import random
from collections import Counter
from dataclasses import dataclass, field
from typing import Final
from unittest import mock

from hypothesis import given, settings
from hypothesis import strategies as st

from inventory_grpc.application.failures import OutcomeUnknown, StorageFull, WritesRefused
from inventory_grpc.application.ledger import circuit_breaker
from inventory_grpc.application.outcomes import Outcome
from inventory_grpc.application.ports import Fault, StorageError
from inventory_grpc.domain.book import Command
from inventory_grpc.domain.refusals import Refusal
from inventory_grpc.domain.values import Span, Ttl
from inventory_grpc_protos.v1.events_pb2 import Event
from tests.support.engine import Engine, assemble, running, settle
from tests.support.histories import assert_reached
from tests.support.model import Model
from tests.support.shown import assert_is_shown
from tests.support.stores import TroubledStore, in_memory
from tests.support.world import (
    KETTLES,
    SECOND,
    TOASTERS,
    add,
    commit,
    extend,
    release,
    remove,
    reserve,
)

TROUBLES: Final = [
    StorageError(Fault.BROKEN),
    StorageError(Fault.FULL),
    StorageError(Fault.BUSY),
    StorageError(Fault.BROKEN, committing=True),
    StorageError(Fault.FULL, committing=True),
]
SHORT: Final = Ttl(Span(5 * SECOND))

troubles = st.lists(
    st.tuples(st.integers(0, 30), st.sampled_from(TROUBLES), st.booleans()), max_size=12
)


@dataclass
class World:
    """Two processes on one file with faults, and the answers of both."""

    store: TroubledStore
    engines: tuple[Engine, Engine]
    chance: random.Random
    reached: Counter[str]
    replies: dict[str, list[Outcome]] = field(default_factory=dict)
    refused: set[str] = field(default_factory=set)

    async def insist(self, command: Command, request_id: str) -> None:
        """Send a request, here or there, until it is known what became of it; then once more."""
        known = 0
        while known < 2:
            engine = self.chance.choice(self.engines)
            asked = engine.ask(command, request_id)
            if self.chance.random() < 0.2:
                await settle(self.chance.randrange(8))
                asked.cancel()
            try:
                reply = await asked
            except (
                OutcomeUnknown,
                WritesRefused,
                StorageFull,
                asyncio.CancelledError,
            ) as trouble:
                self.reached[type(trouble).__name__] += 1
                await asyncio.sleep(0.001)
                continue
            except Refusal:
                assert request_id not in self.replies, "it was answered, and then refused"
                self.refused.add(request_id)
                self.reached["refused"] += 1
                return
            self.reached["answered again" if reply.replayed else "answered"] += 1
            self.replies.setdefault(request_id, []).append(reply)
            known += 1

    def any_command(self, number: int) -> Command:
        name = f"r{self.chance.randrange(4)}"
        commands: list[Command] = [
            add(self.chance.randrange(1, 5)),
            add(self.chance.randrange(1, 5), TOASTERS),
            remove(1),
            reserve({KETTLES: 1, TOASTERS: 1}, f"new-{number}", expiration=SHORT),
            reserve({KETTLES: 2}, name, expiration=SHORT),
            commit(name=name),
            release(name=name),
            extend(SHORT, name),
        ]
        return self.chance.choice(commands)

    async def customer(self, number: int) -> None:
        for step in range(4):
            await self.insist(self.any_command(number), f"request-{number}-{step}")

    async def cause(self, plan: list[tuple[int, StorageError, bool]]) -> None:
        for turns, error, kept in plan:
            await settle(turns)
            self.store.fail_next(error, kept=kept)
            await self.engines[0].go_on(SECOND)


def test_no_answer_is_a_lie_and_what_is_sent_again_is_done_once() -> None:
    reached = Counter[str]()

    @settings(max_examples=40, deadline=None)
    @given(seed=st.integers(0, 2**32), plan=troubles)
    def law(seed: int, plan: list[tuple[int, StorageError, bool]]) -> None:
        with mock.patch.multiple(circuit_breaker, FIRST_WAIT_SECONDS=0.001, MAX_WAIT_SECONDS=0.004):
            asyncio.run(_story(random.Random(seed), plan, reached))

    law()
    assert_reached(
        reached,
        "answered",
        "answered again",
        "refused",
        "CancelledError",
        "OutcomeUnknown",
        "StorageFull",
        "WritesRefused",
    )


async def _story(
    chance: random.Random, plan: list[tuple[int, StorageError, bool]], reached: Counter[str]
) -> None:
    store = TroubledStore()
    one = assemble(in_memory(store), max_states=2)
    other = assemble(in_memory(store), one.clock)
    world = World(store, (one, other), chance, reached)
    async with running(one), running(other), asyncio.timeout(20):
        customers = (world.customer(number) for number in range(5))
        await asyncio.gather(world.cause(plan), *customers)
        for engine in world.engines:
            while engine.head.position < await store.head():
                engine.ledger.follow()
                await asyncio.sleep(0.001)
        model = Model(await one.log())
        _check_answers(world, [Event.FromString(data) for data in await one.log()])
        for engine in world.engines:
            for stock_id in (KETTLES, TOASTERS):
                stock = (await engine.queries.latest(model.position).get(stock_id)).value
                assert_is_shown(stock, model, stock_id)


def _check_answers(world: World, events: list[Event]) -> None:
    done = Counter(
        event.request_id
        for event in events
        if event.request_id and event.position == event.command_position
    )
    assert set(done.values()) <= {1}, "a request was done twice"
    assert not world.refused & set(done), "it was done, and its caller was told no"
    for request_id, replies in world.replies.items():
        first, *others = [reply._replace(replayed=False) for reply in replies]
        assert all(reply == first for reply in others), "the same request, another answer"
        assert replies[-1].replayed
        if done[request_id]:
            assert events[first.position - 1].request_id == request_id
        else:
            world.reached["nothing to do"] += 1
            assert request_id not in {event.request_id for event in events}
