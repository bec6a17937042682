"""Bulk commands of the client: the outcome of each, and retries of all of them."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import aclosing
from typing import Any, Final

import pytest
from google.rpc.error_details_pb2 import ErrorInfo
from google.rpc.status_pb2 import Status
from grpc import StatusCode

from inventory_grpc.client import (
    DeadlineExceeded,
    InsufficientStock,
    Internal,
    InventoryClient,
    InventoryError,
    OutcomeUnknown,
    Result,
    Unavailable,
    WritesRefused,
)
from inventory_grpc.client.bulk import SENDING
from inventory_grpc.client.bulk_messages import CommandRequest
from inventory_grpc_protos.v1 import commands_pb2 as pb
from inventory_grpc_protos.v1.errors_pb2 import ShortLine, ShortLines
from tests.support.waiting import SECONDS, eventually
from tests.unit.client.scripted import Failure, ScriptedServer, Silence, packed

STOCK: Final[dict[str, Any]] = {"product_id": "kettle", "store_id": "lisbon"}
ADDING: Final = pb.AddStockRequest(**STOCK, quantity=5, request_id="delivery-1")
RESERVING: Final = pb.ReserveStockRequest(customer_id="ana", request_id="cart-1")
DONE: Final = pb.CommandResult(position=7, version=2)
SHORT: Final = ShortLines(lines=[ShortLine(**STOCK, asked=9, available=5)])


def failing(code: StatusCode, reason: str, *details: Any) -> pb.CommandResult:  # noqa: ANN401
    info = ErrorInfo(reason=reason, domain="inventory.v1", metadata={"fact": "so"})
    carried = [packed(detail) for detail in (info, *details)] if reason else []
    status = Status(code=code.value[0], message="no", details=carried)
    return pb.CommandResult(error=pb.CommandError.FromString(status.SerializeToString()))


def batch_of(*results: pb.CommandResult) -> pb.ExecuteBatchResponse:
    return pb.ExecuteBatchResponse(results=results)


def answer_of(*results: pb.CommandResult) -> pb.ExecuteStreamResponse:
    return pb.ExecuteStreamResponse(results=results)


async def results_of(
    client: InventoryClient,
    server: ScriptedServer,
    *results: pb.CommandResult,
    after: Sequence[Failure] = (),
) -> Sequence[Result]:
    server.plays("ExecuteBatch", *after, batch_of(*results))
    return await client.execute_batch([ADDING] * len(results))


async def test_commands_arrive_as_they_were_meant(
    client: InventoryClient, server: ScriptedServer
) -> None:
    server.plays("ExecuteBatch", batch_of(DONE, DONE))
    requests: list[CommandRequest] = [ADDING, RESERVING]
    assert await client.execute_batch(iter(requests)) == [DONE, DONE]
    sent = [pb.Command(add_stock=ADDING), pb.Command(reserve_stock=RESERVING)]
    assert server.requests() == [pb.ExecuteBatchRequest(commands=sent)]


async def test_one_that_was_not_done_has_the_failure_that_it_alone_would_have_had(
    client: InventoryClient, server: ScriptedServer
) -> None:
    short = failing(StatusCode.FAILED_PRECONDITION, "INSUFFICIENT_STOCK", SHORT)
    before, error, after = await results_of(client, server, DONE, short, DONE)
    assert (before, after) == (DONE, DONE)
    assert isinstance(error, InsufficientStock)
    assert list(error.lines) == list(SHORT.lines)
    assert (error.code, error.message) == (StatusCode.FAILED_PRECONDITION, "no")
    assert (error.request_id, error.facts) == ("delivery-1", {"fact": "so"})
    assert not error.in_doubt


async def test_what_has_no_request_id_gets_one_that_is_the_same_on_every_attempt(
    client: InventoryClient, server: ScriptedServer
) -> None:
    nameless = pb.AddStockRequest(**STOCK, quantity=5)
    server.plays("ExecuteBatch", Failure(StatusCode.UNAVAILABLE), batch_of(DONE, DONE))
    await client.execute_batch([nameless, nameless])
    first, again = server.requests()
    assert first == again
    one, other = [command.add_stock.request_id for command in first.commands]
    assert one < other, "ids in the order of time are cheaper"
    assert not nameless.request_id, "the caller's own message is as it was"


@pytest.mark.parametrize(
    ("result", "kind", "in_doubt", "in_doubt_after_a_failure"),
    [
        (failing(StatusCode.UNAVAILABLE, "OUTCOME_UNKNOWN"), OutcomeUnknown, True, True),
        (failing(StatusCode.INTERNAL, "INTERNAL"), Internal, True, True),
        (failing(StatusCode.UNAVAILABLE, "WRITES_REFUSED"), WritesRefused, False, True),
        (failing(StatusCode.DEADLINE_EXCEEDED, ""), DeadlineExceeded, False, True),
        (failing(StatusCode.ABORTED, "INSUFFICIENT_STOCK"), InsufficientStock, False, False),
    ],
    ids=["unknown", "a bug", "refused for now", "too late", "judged"],
)
async def test_a_command_is_in_doubt_only_if_an_attempt_may_have_been_recorded(
    client: InventoryClient,
    server: ScriptedServer,
    result: pb.CommandResult,
    kind: type[InventoryError],
    *,
    in_doubt: bool,
    in_doubt_after_a_failure: bool,
) -> None:
    lost = Failure(StatusCode.UNAVAILABLE)
    for after, expected in (((), in_doubt), ((lost,), in_doubt_after_a_failure)):
        [failure] = await results_of(client, server, result, after=after)
        assert isinstance(failure, kind)
        assert failure.in_doubt == expected


async def test_a_stream_yields_what_became_of_each_batch_in_order(
    client: InventoryClient, server: ScriptedServer
) -> None:
    failed = failing(StatusCode.UNAVAILABLE, "WRITES_REFUSED")
    server.plays("ExecuteStream", answer_of(DONE), answer_of(DONE, failed))
    batches = iter([[ADDING], [ADDING, ADDING]])
    first, second = [results async for results in client.execute_stream(batches)]
    assert first == [DONE]
    assert second[0] == DONE
    assert isinstance(second[1], WritesRefused)
    assert [len(request.commands) for request in server.requests()] == [1, 2]


async def test_batches_may_come_when_they_are_there(address: str, server: ScriptedServer) -> None:
    server.plays("ExecuteStream", answer_of(DONE), answer_of(DONE))

    async def batches() -> AsyncIterator[Sequence[pb.AddStockRequest]]:
        yield [ADDING]
        await asyncio.sleep(0)
        yield [ADDING]

    async with InventoryClient(address) as client:
        assert [one async for one in client.execute_stream(batches())] == [[DONE], [DONE]]


async def test_a_stream_that_fails_says_why_and_is_not_sent_again(
    client: InventoryClient, server: ScriptedServer
) -> None:
    server.plays("ExecuteStream", answer_of(DONE), Failure(StatusCode.UNAVAILABLE))
    stream = client.execute_stream([[ADDING]] * 1_000)
    assert await anext(stream) == [DONE]
    with pytest.raises(Unavailable) as failed:
        await anext(stream)
    assert failed.value.in_doubt
    assert len(server.requests()) == 2


@pytest.mark.parametrize(
    ("end", "in_doubt"),
    [
        (Failure(StatusCode.UNAVAILABLE, "OVERLOADED"), True),
        (Failure(StatusCode.UNAUTHENTICATED, "UNAUTHENTICATED"), True),
        (Failure(StatusCode.CANCELLED), True),
        (Failure(StatusCode.INVALID_ARGUMENT, "INVALID_VALUE"), False),
        (Failure(StatusCode.UNAVAILABLE, "SHUTTING_DOWN"), False),
    ],
)
async def test_a_stream_that_ends_leaves_in_doubt_what_may_have_been_done(
    client: InventoryClient, server: ScriptedServer, end: Failure, *, in_doubt: bool
) -> None:
    server.plays("ExecuteStream", answer_of(DONE), end)
    stream = client.execute_stream([[ADDING], [ADDING]])
    assert await anext(stream) == [DONE]
    with pytest.raises(InventoryError) as failed:
        await anext(stream)
    assert failed.value.in_doubt == in_doubt


async def test_batches_that_cannot_be_made_fail_once_the_others_are_answered(
    client: InventoryClient, server: ScriptedServer
) -> None:
    server.plays("ExecuteStream", answer_of(DONE))

    def batches() -> Iterator[Sequence[pb.AddStockRequest]]:
        yield [ADDING]
        raise LookupError("a file that is not there")

    stream = client.execute_stream(batches())
    assert await anext(stream) == [DONE]
    with pytest.raises(LookupError):
        await anext(stream)


async def test_who_leaves_a_stream_leaves_no_call_behind(
    client: InventoryClient, server: ScriptedServer
) -> None:
    server.plays("ExecuteStream", answer_of(DONE), Silence())
    async with aclosing(client.execute_stream([[ADDING]] * 1_000)) as stream:
        assert await anext(stream) == [DONE]
        await eventually(lambda: len(server.asked) == 2)
    await asyncio.wait_for(server.cancelled.wait(), SECONDS)
    assert not [task for task in asyncio.all_tasks() if task.get_name() == SENDING]
