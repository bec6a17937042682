"""A dry run answers as the command would, and records nothing."""

import json
from typing import Any

import pytest
from google.protobuf.message import Message
from grpc import StatusCode

from inventory_grpc_protos.v1 import commands_pb2 as pb
from tests.support.caller import Caller, adding, line, refused, reserving
from tests.support.engines import on_each_engine
from tests.support.samples import COMMANDS
from tests.support.server_process import ServerProcess
from tests.support.waiting import eventually


def trying(request: Message, **fields: Any) -> Any:  # noqa: ANN401  a request of that kind
    """Return *request* as a dry run, with *fields*."""
    return type(request)(
        **{name.name: value for name, value in request.ListFields()}, **fields, dry_run=True
    )


def without_times(response: Any) -> Message:  # noqa: ANN401  the response to any command
    """Return *response* without its position and times, which differ in a dry run."""
    left: Any = type(response)()
    left.CopyFrom(response)
    left.ClearField("position")
    if hasattr(left, "policy"):
        left.policy.ClearField("update_time")
    for stock in [*getattr(left, "stocks", ()), *([left.stock] if hasattr(left, "stock") else [])]:
        stock.ClearField("update_time")
    for entry in (getattr(left, name, None) for name in ("product", "store")):
        if entry is not None:
            entry.ClearField("create_time")
            entry.ClearField("update_time")
    if hasattr(left, "reservation"):
        left.reservation.ClearField("create_time")
        left.reservation.ClearField("expire_time")
    return left  # type: ignore[no-any-return]


@on_each_engine
async def test_each_command_answers_as_it_will_and_records_nothing(caller: Caller) -> None:
    for name, request in COMMANDS.items():
        before = await caller.log()
        call = getattr(caller.commands, name)
        tried = await call(trying(request))
        assert await caller.log() == before, name
        assert tried.position == len(before), name
        done = await call(request)
        assert without_times(tried) == without_times(done), name
        assert not tried.replayed


@on_each_engine
async def test_a_refusal_is_that_of_the_command(caller: Caller) -> None:
    asked = reserving(line(3))
    answers = [await refused(caller.commands.ReserveStock(one)) for one in (trying(asked), asked)]
    assert answers[0] == answers[1]
    assert answers[0].code is StatusCode.FAILED_PRECONDITION


@on_each_engine
async def test_its_request_id_stays_free_and_one_that_was_used_has_its_answer(
    caller: Caller,
) -> None:
    asked = adding(5, request_id="delivery-1")
    tried = await caller.commands.AddStock(trying(asked))
    done = await caller.commands.AddStock(asked)
    assert (tried.position, tried.replayed, done.position, done.replayed) == (0, False, 1, False)
    again = await caller.commands.AddStock(trying(asked))
    assert again == pb.AddStockResponse(stock=done.stock, position=1, replayed=True)
    other = await refused(caller.commands.AddStock(trying(adding(6, request_id="delivery-1"))))
    assert other.reason == "REQUEST_ID_REUSED"


@on_each_engine
async def test_dry_runs_of_a_batch_change_nothing_for_the_others(caller: Caller) -> None:
    commands = [
        pb.Command(add_stock=adding(5)),
        pb.Command(
            remove_stock=pb.RemoveStockRequest(
                product_id="kettle", store_id="lisbon", quantity=5, dry_run=True
            )
        ),
        pb.Command(reserve_stock=reserving(line(5), name="cart-1")),
    ]
    answer = await caller.commands.ExecuteBatch(pb.ExecuteBatchRequest(commands=commands))
    assert [(one.position, one.version, one.reservation_id) for one in answer.results] == [
        *((1, 1, ""), (1, 2, ""), (2, 0, "cart-1"))
    ]
    assert len(await caller.log()) == 2


async def test_the_call_log_tells_dry_runs_apart(server: ServerProcess, remote: Caller) -> None:
    await remote.commands.AddStock(trying(adding(5)))
    await remote.commands.AddStock(adding(5))

    def calls() -> list[dict[str, Any]]:
        return [entry for entry in server.log() if entry["event"] == "call"]

    await eventually(lambda: len(calls()) == 2)
    assert [entry.get("dry_run") for entry in calls()] == [True, None], json.dumps(calls())


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_it(name: str) -> None:
    assert "dry_run" in COMMANDS[name].DESCRIPTOR.fields_by_name
