"""Commands of a message are read once, by the writer, and an invalid one is told so."""

import threading
import weakref

import pytest

from inventory_grpc.application.failures import (
    Internal,
    OutcomeUnknown,
    ShuttingDown,
    WritesRefused,
)
from inventory_grpc.application.ledger.bulk import Groups
from inventory_grpc.application.ledger.mailbox import Mailbox, submissions_of
from inventory_grpc.application.ledger.submission import Submission
from inventory_grpc.application.ledger.unread import Refused, Unread
from inventory_grpc.application.outcomes import Outcome
from inventory_grpc.application.ports import Fault, StorageError
from inventory_grpc.domain.refusals import InvalidValue, Violation
from tests.support.engine import Engine, assemble, running
from tests.support.history import Faulty
from tests.support.stores import Store, TroubledStore
from tests.support.world import add

INVALID = InvalidValue([Violation("quantity", "must be 1 or more")])


class Reading:
    """Reads numbers as additions of so many units, and knows which it has read."""

    def __init__(self) -> None:
        self.read: list[int] = []
        self.threads = set[threading.Thread]()

    def __call__(self, units: int) -> Submission:
        self.read.append(units)
        self.threads.add(threading.current_thread())
        return Submission.of(add(units) if units else Refused(INVALID))


def test_commands_are_read_once_and_only_in_the_part_that_is_needed() -> None:
    reading = Reading()
    unread = Unread([1, 2, 3, 4, 5], reading)
    first, rest = unread[:2], unread[2:]
    assert (len(unread), len(first), len(rest), reading.read) == (5, 2, 3, [])
    assert [one.command for one in rest[1:]] == [add(4), add(5)]
    assert reading.read == [4, 5]
    assert [one.command for one in first] == [add(1), add(2)]
    assert [one.command for one in first] == [add(1), add(2)]
    assert reading.read == [4, 5, 1, 2]


def test_a_part_of_what_was_read_is_not_read_again() -> None:
    reading = Reading()
    unread = Unread([1, 2, 3], reading)
    assert unread[1].command == add(2)
    assert [one.command for one in unread[1:]] == [add(2), add(3)]
    assert reading.read == [1, 2, 3]


async def test_the_writer_reads_them_and_refuses_the_invalid_ones(store: Store) -> None:
    reading = Reading()
    writers_thread = await store.storage.transact(lambda _: threading.current_thread())
    async with running(assemble(store)) as engine:
        answers = await (await engine.ledger.record_all(Unread([5, 0, 1], reading)))
        assert [type(answer) for answer in answers] == [Outcome, InvalidValue, Outcome]
        assert answers[1] is INVALID
        assert (reading.read, len(await engine.log())) == ([5, 0, 1], 2)
        assert reading.threads == {writers_thread}
        counted = {kind.__name__ for kind, _ in engine.ledger.counts.commands}
        assert counted == {"AddStock"}, "what is no command is not counted as one"


async def test_refused_commands_are_read_in_parts_and_all_are_answered(idle: Engine) -> None:
    idle.ledger.close()
    reading = Reading()
    answers = await (await idle.ledger.record_all(Unread([1] * 999 + [0], reading)))
    assert {type(answer) for answer in answers[:-1]} == {ShuttingDown}
    assert (answers[-1], len(reading.read)) == (INVALID, 1_000)


async def test_a_bug_in_a_batch_of_unread_commands_fails_only_its_own(engine: Engine) -> None:
    def read(units: int) -> Submission:
        return Submission.of(add(units) if units else Faulty())

    answers = await (await engine.ledger.record_all(Unread([5, 0, 1], read)))
    assert [type(answer) for answer in answers] == [Outcome, Internal, Outcome]
    assert len(await engine.log()) == 2


async def test_a_message_is_let_go_once_its_commands_are_read() -> None:
    class Request:
        """A request, which can be referred to weakly."""

    async def admit() -> None:
        pass

    request = Request()
    gone = weakref.ref(request)
    mailbox = Mailbox(lambda *_: None)
    groups = Groups(mailbox, admit, lambda: None)
    unread = Unread([request], lambda _: Submission.of(add(1)))
    answered = await groups.submit(unread, None)
    del request, unread
    entries = mailbox.take(1)
    assert gone() is not None
    assert len(submissions_of(entries)) == 1
    assert not answered.done()
    assert gone() is None, "it would stay until its answers are sent"


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (StorageError(Fault.BROKEN), WritesRefused),
        (StorageError(Fault.BROKEN, committing=True), OutcomeUnknown),
    ],
)
async def test_an_invalid_command_is_told_that_also_if_storage_fails(
    engine: Engine, troubled: TroubledStore, error: StorageError, told: type[Exception]
) -> None:
    troubled.fail_next(error)
    answers = await (await engine.ledger.record_all(Unread([5, 0], Reading())))
    assert [type(answer) for answer in answers] == [told, InvalidValue]


async def test_an_invalid_command_is_told_that_also_while_no_commands_are_accepted(
    idle: Engine,
) -> None:
    idle.ledger.close()
    refused, invalid = await (await idle.ledger.record_all(Unread([5, 0], Reading())))
    assert (type(refused), invalid) == (ShuttingDown, INVALID)


async def test_an_invalid_command_is_told_that_also_after_its_deadline(engine: Engine) -> None:
    late, invalid = await (await engine.ledger.record_all(Unread([5, 0], Reading()), -1.0))
    assert (type(late), invalid) == (TimeoutError, INVALID)
    assert await engine.log() == []
