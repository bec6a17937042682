"""The ledger adds to a traced call what its commands wait for; other calls are left alone."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

import pytest

from inventory_grpc.application.failures import OutcomeUnknown, StorageFull
from inventory_grpc.application.ledger import traced_batch
from inventory_grpc.application.ports import Fault, StorageError
from inventory_grpc.application.tracing import CURRENT, Trace
from tests.support.engine import Engine, assemble, running, settle
from tests.support.stores import TroubledStore, in_memory
from tests.support.world import add, remove


@dataclass
class Step:
    name: str
    begun: int
    ended: int
    failed: bool
    callers: Sequence[Trace]


@dataclass(eq=False)
class Recorded:
    """A trace that keeps its steps."""

    steps: list[Step] = field(default_factory=list)

    def add_step(
        self,
        name: str,
        begun: int,
        ended: int,
        *,
        failed: bool = False,
        callers: Sequence[Trace] = (),
    ) -> None:
        self.steps.append(Step(name, begun, ended, failed, callers))

    def names(self) -> list[str]:
        return [step.name for step in self.steps]


class Faulty(Recorded):
    """A trace with a bug."""

    def add_step(self, *_: object, **__: object) -> None:
        raise ZeroDivisionError


@pytest.fixture
async def waiting(troubled: TroubledStore) -> Engine:
    """Return an engine that traces, and takes no command yet."""
    return assemble(in_memory(troubled), traces=True)


@pytest.fixture
async def tracing(waiting: Engine) -> AsyncIterator[Engine]:
    async with running(waiting):
        yield waiting


def traced() -> Recorded:
    """Begin a traced call; what is asked next belongs to it."""
    trace = Recorded()
    CURRENT.set(trace)
    return trace


def untraced() -> None:
    CURRENT.set(None)


async def test_a_command_waits_is_decided_and_committed_without_a_gap(tracing: Engine) -> None:
    trace = traced()
    await tracing.record(add(5))
    assert trace.names() == ["wait", "decide", "commit"]
    wait, decide, commit = trace.steps
    assert 0 < wait.begun <= wait.ended == decide.begun <= decide.ended == commit.begun
    assert commit.begun <= commit.ended
    assert not any(step.failed or step.callers for step in trace.steps)


async def test_a_commit_names_all_callers_of_its_batch_that_are_traced(waiting: Engine) -> None:
    first = traced()
    asked = [waiting.ask(add(5))]
    second = traced()
    asked.append(waiting.ask(remove(1)))
    untraced()
    asked.append(waiting.ask(add(1)))
    await settle()
    async with running(waiting):
        await asyncio.gather(*asked)
    for trace in first, second:
        assert trace.names() == ["wait", "decide", "commit"]
        assert trace.steps[-1].callers == [first, second]


async def test_a_commit_names_a_bounded_number_of_callers(
    waiting: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(traced_batch, "MAX_LINKS", 2)
    traces, asked = [], []
    for _ in range(3):
        traces.append(traced())
        asked.append(waiting.ask(add(5)))
    await settle()
    async with running(waiting):
        await asyncio.gather(*asked)
    assert [trace.steps[-1].callers for trace in traces] == [traces[:2]] * 3


async def test_many_commands_of_a_call_are_one_wait_for_each_batch(tracing: Engine) -> None:
    trace = traced()
    assert len(await tracing.ask_all(*[add(1)] * 600)) == 600
    assert trace.names() == ["wait", "decide", "commit"] * 2


async def test_a_commit_that_fails_is_a_failed_step(
    tracing: Engine, troubled: TroubledStore
) -> None:
    trace = traced()
    troubled.fail_next(StorageError(Fault.BROKEN, committing=True))
    with pytest.raises(OutcomeUnknown):
        await tracing.record(add(5), "delivery-1")
    assert [(step.name, step.failed) for step in trace.steps] == [
        ("wait", False),
        ("decide", False),
        ("commit", True),
    ]


async def test_a_transaction_that_cannot_begin_is_a_failed_wait(
    tracing: Engine, troubled: TroubledStore
) -> None:
    trace = traced()
    troubled.fail_next(StorageError(Fault.FULL))
    with pytest.raises(StorageFull):
        await tracing.record(add(5))
    assert [(step.name, step.failed) for step in trace.steps] == [("wait", True)]


async def test_a_bug_in_tracing_does_not_record_a_command_twice(
    tracing: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    CURRENT.set(Faulty())
    assert (await tracing.record(add(5))).position == 1
    assert (await tracing.record(add(5))).position == 2
    assert "tracing" in caplog.text


async def test_an_engine_that_does_not_trace_asks_no_call(engine: Engine) -> None:
    trace = traced()
    await engine.record(add(5))
    assert trace.steps == []
