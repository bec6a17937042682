"""Calls in bulk leave room for all others."""

import asyncio

import pytest

from inventory_grpc.application.ledger import bulk as group
from inventory_grpc.application.ledger import mailbox
from inventory_grpc.presentation.interceptors.admission import Limits
from inventory_grpc_protos.v1 import events_pb2
from tests.support.caller import batch, message, refused
from tests.support.engine import Engine, until
from tests.support.stores import TroubledStore
from tests.unit.presentation.asking import add
from tests.unit.presentation.conftest import Served, serving
from tests.unit.presentation.streams import opened, told


async def test_while_streams_saturate_the_ledger_single_commands_get_through(
    service: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mailbox, "BULK_ROOM", 50)
    monkeypatch.setattr(mailbox, "MAX_WAITING", 100)
    monkeypatch.setattr(group, "MAX_TOGETHER", 50)
    streams = [opened(service) for _ in range(4)]
    batches = [
        asyncio.ensure_future(service.commands.ExecuteBatch(batch(*[add()] * 500)))
        for _ in range(4)
    ]
    for stream in streams:
        for _ in range(4):
            await stream.write(message(*[add()] * 500))
    for _ in range(20):
        assert (await service.commands.AddStock(add(product_id="cup"))).position
    for stream in streams:
        for _ in range(4):
            assert len(await told(stream)) == 500
    for executed in batches:
        assert not [result for result in (await executed).results if result.HasField("error")]
    assert len(await service.engine.log()) == 4 * 5 * 500 + 20


def test_bulk_leaves_room_for_all_single_commands_that_are_let_in() -> None:
    most_in_bulk = mailbox.BULK_ROOM - 1 + group.MAX_TOGETHER
    assert most_in_bulk + Limits().commands <= mailbox.MAX_WAITING


async def test_calls_in_bulk_are_so_many_and_take_no_room_of_others(
    engine: Engine, troubled: TroubledStore
) -> None:
    async with serving(engine, limits=Limits(commands=1, streams=1, bulk=1)) as service:
        stream = opened(service)
        await stream.write(message(add()))
        assert await told(stream) == [1]
        troubled.open.clear()
        executing = asyncio.ensure_future(service.commands.ExecuteBatch(batch(add())))
        await until(lambda: service.controls.calls.running == 2)
        for another in (opened(service).read(), service.commands.ExecuteBatch(batch(add()))):
            assert (await refused(another)).reason == "OVERLOADED"
        adding = asyncio.ensure_future(service.commands.AddStock(add()))
        following = service.events.Subscribe(events_pb2.SubscribeRequest())
        assert await following.read()
        troubled.open.set()
        assert (await executing).results[0].position == 2
        assert (await adding).position == 3
        for call in (stream, following):
            call.cancel()
