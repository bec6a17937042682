"""Small commands are read by the writer, larger ones before; both get the same answers."""

import asyncio
from collections.abc import Sequence
from typing import Any, cast
from unittest.mock import Mock

import pytest
from google.protobuf.message import Message

from inventory_grpc.application.access import Caller, Role, Scope
from inventory_grpc.application.failures import PermissionDenied
from inventory_grpc.application.ledger.bulk import MAX_TOGETHER
from inventory_grpc.application.ledger.mailbox import Answers
from inventory_grpc.application.ledger.submission import Submission
from inventory_grpc.application.ledger.unread import Refused, Unread
from inventory_grpc.domain.refusals import InvalidValue
from inventory_grpc.domain.values import StoreId
from inventory_grpc.presentation.bulk import UNREAD_BYTES
from inventory_grpc.presentation.call import Call
from inventory_grpc.presentation.commands import Commands
from inventory_grpc.presentation.validation import Validator
from inventory_grpc_protos.v1 import commands_pb2 as pb
from tests.support.caller import batch
from tests.support.clock import ManualClock
from tests.unit.presentation.asking import Context, add, line, reserve

LIMITED = Caller("ana", Role.OPERATOR, Scope(frozenset([StoreId("lisbon")])))
ELSEWHERE = "porto"


async def submitted(*requests: Message) -> Sequence[Submission]:
    """Return what the ledger gets of a message with these commands."""
    taken: list[Sequence[Submission]] = []

    async def take(submissions: Sequence[Submission], **_: object) -> Answers:
        taken.append(submissions)
        answers: Answers = asyncio.get_running_loop().create_future()
        answers.set_result([])
        return answers

    service = Commands(Mock(record_all=take), ManualClock().wall)
    call: Any = Call(cast("Any", Context(None)), LIMITED)
    await service.methods["ExecuteBatch"](batch(*requests), call)
    return taken[0]


def a_cart(lines: int) -> pb.ReserveStockRequest:
    return reserve(lines=[line(1, f"kettle-{number}") for number in range(lines)])


async def test_commands_that_are_small_on_average_are_left_to_the_writer() -> None:
    assert isinstance(await submitted(*[add()] * 1_000), Unread)
    assert isinstance(await submitted(a_cart(10), add()), Unread)


async def test_many_small_ones_hide_no_large_ones() -> None:
    large, small = [a_cart(500)] * 20, [add()] * 900
    sizes = [one.ByteSize() for one in [*large, *small]]
    assert MAX_TOGETHER * UNREAD_BYTES < sum(sizes) < len(sizes) * UNREAD_BYTES
    assert not isinstance(await submitted(*large, *small), Unread)


async def test_larger_ones_are_read_before() -> None:
    large = a_cart(500)
    assert large.ByteSize() > 2 * UNREAD_BYTES
    submissions = await submitted(large, add(quantity=0))
    assert not isinstance(submissions, Unread)
    first, refused = submissions
    assert not isinstance(first.command, Refused)
    assert isinstance(refused.command, Refused)


async def test_a_command_that_is_read_in_the_middle_of_another_one_mixes_no_refusals(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The event loop may read a part, to refuse it, while the writer's thread reads another."""
    unread = await submitted(add(store_id=ELSEWHERE), add(quantity=0))
    leave, meanwhile = Validator.leave, list[Submission]()
    other = iter([unread[1:]])

    def leave_late(check: Validator) -> None:
        meanwhile.extend(next(other, ()))
        leave(check)

    monkeypatch.setattr(Validator, "leave", leave_late)
    read = [one.command for one in [*unread[:1], *meanwhile]]
    refusals = [type(one.refusal) for one in read if isinstance(one, Refused)]
    assert refusals == [PermissionDenied, InvalidValue]
