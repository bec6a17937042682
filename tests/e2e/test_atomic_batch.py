"""An atomic batch is recorded as one command, or not at all."""

import asyncio
from collections.abc import Sequence
from typing import Any, Final

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc.error_details_pb2 import BadRequest
from grpc import StatusCode

from inventory_grpc.client import CommandTooLarge, InsufficientStock, InventoryClient
from inventory_grpc_protos.v1 import commands_pb2 as pb
from inventory_grpc_protos.v1.queries_pb2 import GetReservationRequest, GetStockRequest
from tests.support.caller import Caller, adding, line, refused, reserving
from tests.support.engines import on_each_engine

pytestmark = on_each_engine

LONG_AGO: Final = Timestamp(seconds=1)


def batch(*commands: pb.Command, **fields: Any) -> pb.ExecuteBatchRequest:  # noqa: ANN401  fields of the request
    return pb.ExecuteBatchRequest(commands=commands, atomic=True, **fields)


def add(quantity: int, product: str = "kettle", **fields: Any) -> pb.Command:  # noqa: ANN401  as above
    return pb.Command(add_stock=adding(quantity, product, **fields))


def remove(quantity: int, **fields: Any) -> pb.Command:  # noqa: ANN401  as above
    request = pb.RemoveStockRequest(product_id="kettle", store_id="lisbon", quantity=quantity)
    request.MergeFrom(pb.RemoveStockRequest(**fields))
    return pb.Command(remove_stock=request)


def reserve(quantity: int, name: str = "cart-1", **fields: Any) -> pb.Command:  # noqa: ANN401  as above
    return pb.Command(reserve_stock=reserving(line(quantity), name=name, **fields))


def commit(name: str) -> pb.Command:
    return pb.Command(commit_reservation=pb.CommitReservationRequest(reservation_id=name))


def results(response: pb.ExecuteBatchResponse) -> Sequence[tuple[int, int, str, bool]]:
    return [
        (one.position, one.version, one.reservation_id, one.replayed) for one in response.results
    ]


async def test_goods_that_arrive_can_be_reserved_in_the_same_command(caller: Caller) -> None:
    """Worked example 31 of the contract, first half."""
    asked = batch(add(5), reserve(5), request_id="batch-1", reference="van 3")
    done = await caller.commands.ExecuteBatch(asked)
    assert results(done) == [(2, 1, "", False), (2, 0, "cart-1", False)]
    events = await caller.log()
    assert [(event.command_position, event.part) for event in events] == [(1, 1), (1, 2)]
    assert [event.request_id for event in events] == ["batch-1", "batch-1"]
    assert [event.reference for event in events] == ["van 3", "van 3"]
    stock = (
        await caller.queries.GetStock(GetStockRequest(product_id="kettle", store_id="lisbon"))
    ).stock
    assert (stock.on_hand, stock.reserved, stock.available, stock.version) == (5, 5, 0, 2)


async def test_a_refused_command_refuses_all_and_is_named(caller: Caller) -> None:
    """Worked example 31 of the contract, second half."""
    answer = await refused(caller.commands.ExecuteBatch(batch(reserve(5), add(5))))
    assert (answer.code, answer.reason) == (StatusCode.FAILED_PRECONDITION, "INSUFFICIENT_STOCK")
    assert answer.facts == {"short_lines": "1", "command_index": "0"}
    assert answer.message.startswith("commands[0]: kettle in lisbon")
    answer = await refused(caller.commands.ExecuteBatch(batch(add(5), remove(3), remove(3))))
    assert answer.facts == {"short_lines": "1", "command_index": "2"}
    assert await caller.log() == []


async def test_a_retry_has_the_same_results_also_of_commands_without_events(
    caller: Caller,
) -> None:
    await caller.commands.AddStock(adding(9))
    await caller.commands.ReserveStock(reserving(line(1), name="cart-0"))
    asked = batch(
        add(5), reserve(1, "cart-0"), reserve(2), remove(1), commit("cart-1"), request_id="batch-1"
    )
    done = await caller.commands.ExecuteBatch(asked)
    assert [one[1:3] for one in results(done)] == [
        *((3, ""), (0, "cart-0"), (0, "cart-1"), (5, ""), (0, "cart-1"))
    ]
    await caller.commands.AddStock(adding(1))
    again = await caller.commands.ExecuteBatch(asked)
    assert results(again) == [(*one[:3], True) for one in results(done)]
    assert len(await caller.log()) == 7


async def test_the_server_makes_an_id_once(caller: Caller) -> None:
    asked = batch(add(5), reserve(2, ""), reserve(1, ""), request_id="batch-1")
    done = await caller.commands.ExecuteBatch(asked)
    names = [one.reservation_id for one in done.results[1:]]
    assert len({*names, ""}) == 3
    again = await caller.commands.ExecuteBatch(asked)
    assert [one.reservation_id for one in again.results[1:]] == names


async def test_a_reservation_begun_in_a_later_part_is_read_whole(caller: Caller) -> None:
    cart = reserving(line(2), line(1, "toaster"), name="cart-1")
    whole = batch(add(5), add(5, "toaster"), pb.Command(reserve_stock=cart), commit("cart-1"))
    await caller.commands.ExecuteBatch(whole)
    found = await caller.queries.GetReservation(GetReservationRequest(reservation_id="cart-1"))
    assert [(one.product_id, one.quantity, one.committed) for one in found.reservation.lines] == [
        *(("kettle", 2, 2), ("toaster", 1, 1))
    ]


async def test_a_part_counts_the_events_of_the_parts_before_it(caller: Caller) -> None:
    right = batch(add(5, expected_version=0), remove(1, expected_version=1))
    await caller.commands.ExecuteBatch(right)
    answer = await refused(
        caller.commands.ExecuteBatch(batch(add(5), remove(1, expected_version=2)))
    )
    assert (answer.reason, answer.facts["command_index"]) == ("VERSION_CONFLICT", "1")


async def test_the_cause_of_a_part_wins_over_that_of_the_batch(caller: Caller) -> None:
    adjust = pb.AdjustStockRequest(product_id="kettle", store_id="lisbon", delta=-1)
    await caller.commands.ExecuteBatch(
        batch(add(5, reason="own"), pb.Command(adjust_stock=adjust), reason="stocktaking")
    )
    assert [event.reason for event in await caller.log()] == ["own", "stocktaking"]


async def test_a_dry_run_of_a_batch_records_nothing(caller: Caller) -> None:
    asked = batch(add(5), reserve(5), request_id="batch-1", dry_run=True)
    tried = await caller.commands.ExecuteBatch(asked)
    assert results(tried) == [(0, 1, "", False), (0, 0, "cart-1", False)]
    assert await caller.log() == []
    asked.dry_run = False
    assert not (await caller.commands.ExecuteBatch(asked)).results[0].replayed


@pytest.mark.parametrize(
    ("request_", "fields"),
    [
        (batch(), {"commands"}),
        (batch(*[add(1)] * 1_001), {"commands"}),
        (batch(pb.Command()), {"commands[0].command"}),
        (batch(add(1), add(0)), {"commands[1].add_stock.quantity"}),
        (batch(add(1), add(1), reason="x" * 513, reference="x" * 513), {"reason", "reference"}),
        (batch(add(1), add(1), occur_time=LONG_AGO), {"occur_time"}),
        (batch(add(1), add(1, occur_time=LONG_AGO)), {"commands[1].add_stock.occur_time"}),
        (
            batch(add(1), reserve(1, expire_time=LONG_AGO)),
            {"commands[1].reserve_stock.expire_time"},
        ),
        (batch(add(1, request_id="own")), {"commands[0].add_stock.request_id"}),
        (batch(add(1, dry_run=True)), {"commands[0].add_stock.dry_run"}),
        (batch(add(1), request_id="two words"), {"request_id"}),
        (
            pb.ExecuteBatchRequest(commands=[add(1)], request_id="one", reason="x", dry_run=True),
            {"request_id", "reason", "dry_run"},
        ),
    ],
)
async def test_all_that_is_wrong_is_named_by_its_path(
    caller: Caller, request_: pb.ExecuteBatchRequest, fields: set[str]
) -> None:
    answer = await refused(caller.commands.ExecuteBatch(request_))
    assert answer.reason == "INVALID_VALUE"
    assert {found.field for found in answer.details[BadRequest].field_violations} == fields
    assert await caller.log() == []


async def test_more_bytes_than_a_command_has_are_refused_to_it_alone(caller: Caller) -> None:
    """They are in the message of a follower; the largest request has more with a long reason."""
    large = pb.PutProductRequest(name="n" * 500, attributes={str(n): "v" * 500 for n in range(3)})
    puts = []
    for number in range(499):
        large.product_id = f"p{number}"
        puts.append(pb.Command(put_product=large))
    asked = batch(*puts, request_id="r" * 128, reason="x" * 512, reference="y" * 512)
    assert asked.ByteSize() < 1024**2 * 1.01
    answer, *_ = await asyncio.gather(
        refused(caller.commands.ExecuteBatch(asked)), caller.commands.AddStock(adding(1))
    )
    assert (answer.code, answer.reason) == (StatusCode.FAILED_PRECONDITION, "COMMAND_TOO_LARGE")
    assert answer.facts["limit"] == "1572864"
    assert int(answer.facts["bytes"]) > 1_572_864
    assert len(await caller.log()) == 1
    asked.reason = ""
    await caller.commands.ExecuteBatch(asked)


async def test_more_events_than_a_command_has_are_refused(address: str) -> None:
    async with InventoryClient(address) as client:
        one = adding(1)
        with pytest.raises(CommandTooLarge):
            await client.execute_atomic([one] * 501)
        done = await client.execute_atomic([one] * 500, request_id="batch-1", reference="van 3")
        assert [result.version for result in done] == [*range(1, 501)]
        with pytest.raises(InsufficientStock) as short:
            await client.execute_atomic(
                [one, pb.RemoveStockRequest(product_id="kettle", store_id="lisbon", quantity=900)]
            )
        assert short.value.command_index == 1
        assert not short.value.in_doubt
