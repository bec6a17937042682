"""The server: its options, its services, and its end."""

import asyncio
from typing import Any, Final

import grpc
import grpc.aio
import pytest
from grpc import StatusCode
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2

from inventory_grpc.application.ports import Fault, StorageError
from inventory_grpc.presentation.interceptors.admission import Limits
from inventory_grpc.presentation.interceptors.around import Around, Nested
from inventory_grpc.presentation.interceptors.stocks import AnswerStocks
from inventory_grpc.presentation.server import (
    OPTIONS,
    OPTIONS_OFF_LOOPBACK,
    SERVICES,
    call_controls,
    drain,
    interceptors,
)
from inventory_grpc_protos.v1 import admin_pb2, commands_pb2, events_pb2, queries_pb2
from tests.support.caller import with_its_status
from tests.support.engine import Engine
from tests.support.log_lines import captured_lines
from tests.unit.presentation.asking import add, line, reserve
from tests.unit.presentation.conftest import Served, serving
from tests.unit.presentation.tiny import failing

GRACE_SECONDS: Final = 100.0
"""Of a drain that needs none of it."""

REFLECTION = [
    "grpc.reflection.v1.ServerReflection",
    "grpc.reflection.v1alpha.ServerReflection",
]


def test_the_server_has_the_options_that_were_found_out() -> None:
    minute_ms = 60_000
    assert {
        "grpc.so_reuseport": 0,
        "grpc.max_receive_message_length": 1024 * 1024,
        "grpc.max_send_message_length": 4 * 1024 * 1024,
        "grpc.http2.bdp_probe": 0,
        "grpc.http2.lookahead_bytes": 256 * 1024,
        "grpc.max_concurrent_streams": 100,
        "grpc.http.overload_protection": 0,
        "grpc.server.max_pending_requests": 10_000,
        "grpc.server.max_pending_requests_hard_limit": 10_000,
        "grpc.max_metadata_size": 8 * 1024,
        "grpc.absolute_max_metadata_size": 16 * 1024,
        "grpc.keepalive_time_ms": minute_ms,
        "grpc.keepalive_timeout_ms": 20_000,
        "grpc.http2.ping_timeout_ms": 20_000,
        "grpc.keepalive_permit_without_calls": 1,
        "grpc.http2.min_recv_ping_interval_without_data_ms": 30_000,
        "grpc.max_connection_idle_ms": 15 * minute_ms,
    } == OPTIONS
    assert {
        "grpc.max_connection_age_ms": 60 * minute_ms,
        "grpc.max_connection_age_grace_ms": minute_ms,
    } == OPTIONS_OFF_LOOPBACK


def test_the_interceptors_have_this_order(engine: Engine) -> None:
    class Gate:
        def check(self) -> None: ...

    stocks = AnswerStocks(engine.answers, engine.queries)
    (nested,) = interceptors(Gate(), call_controls(), stocks)
    assert isinstance(nested, Nested)
    assert [type(wrapping).__name__ for wrapping in nested.wrappings] == [
        "RunningCalls",
        "LogCalls",
        "TranslateErrors",
        "Authenticate",
        "RefuseWhileDraining",
        "GuardCommands",
        "Admit",
        "KeepDeadlines",
        "AnswerStocks",
        "Decode",
        "SendInTime",
    ]
    # what is false, gRPC takes for the end of the chain
    assert all(interceptors(Gate(), call_controls(), stocks))
    assert all(not hasattr(kind, "__len__") for kind in Around.__subclasses__())


async def test_every_service_answers(service: Served) -> None:
    added = await service.commands.AddStock(add())
    assert added.position == 1
    stock = await service.queries.GetStock(
        queries_pb2.GetStockRequest(product_id="kettle", store_id="lisbon")
    )
    assert stock.stock == added.stock
    listed = await service.events.ListEvents(events_pb2.ListEventsRequest())
    assert [event.stock_added.quantity for event in listed.events] == [5]
    following = service.events.Subscribe(events_pb2.SubscribeRequest(stop_at_head=True))
    messages = [message async for message in following]
    assert [event for message in messages for event in message.events] == list(listed.events)
    info = await service.admin.GetServerInfo(admin_pb2.GetServerInfoRequest())
    assert (info.log_id, info.head_position) == ("memory", 1)


async def test_a_refused_cart_names_its_short_lines(service: Served) -> None:
    await service.commands.AddStock(add())
    async with failing(StatusCode.FAILED_PRECONDITION) as failure:
        await service.commands.ReserveStock(reserve(lines=[line(6), line(1, "toaster")]))
    assert failure.reason == "INSUFFICIENT_STOCK"
    assert failure.info.metadata["short_lines"] == "2"


async def test_three_hundred_bad_lines_still_arrive_as_an_invalid_value(service: Served) -> None:
    async with failing(StatusCode.INVALID_ARGUMENT) as failure:
        await service.commands.ReserveStock(reserve(lines=[line(0, "ü" * 200)] * 300))
    assert failure.reason == "INVALID_VALUE"


@pytest.mark.parametrize("method", ["AddStock", "ReserveStock"])
async def test_bytes_that_are_no_request_are_an_invalid_value(service: Served, method: str) -> None:
    call: Any = service.channel.unary_unary(f"/inventory.v1.InventoryCommands/{method}")
    async with failing(StatusCode.INVALID_ARGUMENT):
        await call(b"\xff\xff")


async def test_a_request_that_is_too_big_does_not_get_in(service: Served) -> None:
    async with failing(StatusCode.RESOURCE_EXHAUSTED):
        await service.commands.AddStock(add(reason="x" * 1024 * 1024))


async def test_a_port_that_is_taken_is_not_shared(service: Served) -> None:
    another = grpc.aio.server(options=list(OPTIONS.items()))
    with pytest.raises(RuntimeError):
        another.add_insecure_port(f"127.0.0.1:{service.port}")


async def test_while_storage_is_in_trouble_commands_are_refused_and_reads_go_on(
    service: Served,
) -> None:
    await service.commands.AddStock(add())
    service.engine.breaker.failed(StorageError(Fault.BROKEN))
    async with failing(StatusCode.UNAVAILABLE) as failure:
        await service.commands.AddStock(add())
    assert failure.reason == "WRITES_REFUSED"
    assert failure.pushback_ms is not None
    await service.queries.GetStock(
        queries_pb2.GetStockRequest(product_id="kettle", store_id="lisbon")
    )


async def test_health_is_told_to_everybody_who_asks(service: Served) -> None:
    health: Any = health_pb2_grpc.HealthStub(service.channel)
    for name in ("", *SERVICES):
        answer = await health.Check(health_pb2.HealthCheckRequest(service=name))
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
    async with failing(StatusCode.NOT_FOUND):
        await health.Check(health_pb2.HealthCheckRequest(service="nobody.knows.It"))


async def services_seen(service: Served, name: str) -> list[str]:
    method: Any = service.channel.stream_stream(
        f"/{name}/ServerReflectionInfo",
        request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
        response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
    )
    request = reflection_pb2.ServerReflectionRequest(list_services="")

    async def answers() -> list[reflection_pb2.ServerReflectionResponse]:
        return [answer async for answer in method([request])]

    [answer] = await with_its_status(answers)
    return sorted(listed.name for listed in answer.list_services_response.service)


@pytest.mark.parametrize("name", REFLECTION)
async def test_reflection_shows_the_services_under_both_its_names(
    service: Served, name: str
) -> None:
    assert await services_seen(service, name) == sorted(
        [*SERVICES, "grpc.health.v1.Health", "grpc.reflection.v1alpha.ServerReflection"]
    )


async def test_reflection_can_be_left_out(engine: Engine) -> None:
    async with serving(engine, with_reflection=False) as service:
        for name in REFLECTION:
            async with failing(StatusCode.UNIMPLEMENTED):
                await services_seen(service, name)


async def test_a_subscriber_too_many_is_refused(engine: Engine) -> None:
    async with serving(engine, limits=Limits(streams=1)) as service:
        following = service.events.Subscribe(events_pb2.SubscribeRequest())
        await following.read()
        async with failing(StatusCode.RESOURCE_EXHAUSTED) as failure:
            await service.events.Subscribe(events_pb2.SubscribeRequest()).read()
        assert failure.reason == "OVERLOADED"
        following.cancel()


async def test_a_server_that_stops_ends_its_streams_and_answers_what_it_has_taken(
    service: Served,
) -> None:
    health: Any = health_pb2_grpc.HealthStub(service.channel)
    watching = health.Watch(health_pb2.HealthCheckRequest(service=""))
    following = service.events.Subscribe(events_pb2.SubscribeRequest())
    make: Any = service.channel.stream_stream(f"/{REFLECTION[0]}/ServerReflectionInfo")
    reflecting = make()
    await watching.read()
    position = getattr(await following.read(), "position", None)
    while service.controls.calls.running < 3:  # noqa: ASYNC110  nobody tells that a call was begun
        await asyncio.sleep(0.01)
    adding = asyncio.ensure_future(service.commands.AddStock(add()))
    while service.controls.calls.running < 4 and not adding.done():  # noqa: ASYNC110  as above
        await asyncio.sleep(0)
    with captured_lines() as logs:
        async with asyncio.timeout(GRACE_SECONDS / 10):
            await drain(
                service.server,
                service.controls,
                service.servicers,
                service.engine.head,
                GRACE_SECONDS,
            )
    assert service.controls.calls.running == 0
    assert (await adding).position == 1
    assert (await watching.read()).status == health_pb2.HealthCheckResponse.NOT_SERVING
    for stream in (watching, following, reflecting):
        async with failing(StatusCode.UNAVAILABLE) as failure:
            while (message := await stream.read()) is not grpc.aio.EOF:
                position = getattr(message, "position", position)
        assert failure.reason == "SHUTTING_DOWN"
    followed = next(entry for entry in logs if entry["method"].endswith("/Subscribe"))
    assert followed["position"] == position


async def test_a_call_that_does_not_end_is_cut_off_when_the_grace_is_over(
    service: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = asyncio.Event()

    async def never(*_: object) -> None:
        begun.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(service.engine.ledger, "record", never)
    adding = asyncio.ensure_future(
        service.commands.AddStock(
            commands_pb2.AddStockRequest.FromString(add().SerializeToString())
        )
    )
    await begun.wait()
    with captured_lines() as logs:
        await drain(service.server, service.controls, service.servicers, service.engine.head, 0.1)
    assert service.controls.calls.running == 0
    async with failing(StatusCode.UNAVAILABLE):
        await adding
    assert [entry["method"].rpartition("/")[2] for entry in logs] == ["AddStock"], (
        "not lost at the end"
    )
