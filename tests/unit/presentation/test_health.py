"""Health reports each service, and reports changes at once."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from grpc_health.v1.health_pb2 import HealthCheckRequest

from inventory_grpc.application.failures import ShuttingDown
from inventory_grpc.domain.refusals import InvalidValue
from inventory_grpc.presentation.health import (
    MAX_REQUEST_BYTES,
    NOT_SERVING,
    SERVING,
    UNKNOWN,
    Health,
)
from inventory_grpc.presentation.server import SERVICES

COMMANDS = "inventory.v1.InventoryCommands"
QUERIES = "inventory.v1.InventoryQueries"

NO_CONTEXT: Any = None


async def status(health: Health, service: str) -> int:
    response = await health.Check(HealthCheckRequest(service=service), NO_CONTEXT)
    return response.status


async def watch(health: Health, service: str) -> AsyncIterator[int]:
    async for response in health.Watch(HealthCheckRequest(service=service), NO_CONTEXT):
        yield response.status


async def test_every_service_is_known_by_its_full_name_and_all_of_them_by_none() -> None:
    health = Health(SERVICES)
    assert [await status(health, service) for service in ("", *SERVICES)] == [SERVING] * 5


async def test_health_lists_all_services_with_their_status() -> None:
    health = Health(SERVICES)
    health.set_writes_accepted(False)
    listed: Any = await health.List(object(), NO_CONTEXT)
    statuses = {service: answer.status for service, answer in listed.statuses.items()}
    assert statuses == dict.fromkeys(["", *SERVICES], SERVING) | {COMMANDS: NOT_SERVING}


async def test_when_writes_are_refused_only_commands_do_not_serve() -> None:
    health = Health(SERVICES)
    health.set_writes_accepted(False)
    assert await status(health, COMMANDS) == NOT_SERVING
    assert await status(health, QUERIES) == SERVING
    assert await status(health, "") == SERVING
    health.set_writes_accepted(True)
    assert await status(health, COMMANDS) == SERVING


async def test_a_watcher_hears_of_every_change_and_of_nothing_else() -> None:
    health = Health(SERVICES)
    watching = watch(health, COMMANDS)
    assert await anext(watching) == SERVING
    hearing = asyncio.ensure_future(anext(watching))
    await asyncio.sleep(0)
    health.set_writes_accepted(True)
    await asyncio.sleep(0)
    assert not hearing.done()
    health.set_writes_accepted(False)
    assert await hearing == NOT_SERVING


async def test_a_watcher_that_was_slow_hears_how_it_is_now() -> None:
    health = Health(SERVICES)
    watching = watch(health, COMMANDS)
    assert await anext(watching) == SERVING
    health.set_writes_accepted(False)
    health.set_writes_accepted(True)
    health.set_writes_accepted(False)
    assert await anext(watching) == NOT_SERVING


@pytest.mark.parametrize("service", ["", COMMANDS, "nobody.knows.It"])
async def test_when_the_server_goes_away_watchers_hear_it_and_are_sent_away(service: str) -> None:
    health = Health(SERVICES)
    watching = watch(health, service)
    assert await anext(watching) == (UNKNOWN if service.startswith("nobody") else SERVING)
    health.close()
    assert await anext(watching) == NOT_SERVING
    with pytest.raises(ShuttingDown):
        await anext(watching)


async def test_a_watch_keeps_little_of_what_its_caller_has_sent() -> None:
    with pytest.raises(InvalidValue):
        await anext(watch(Health(SERVICES), "x" * MAX_REQUEST_BYTES))
    assert await anext(watch(Health(SERVICES), "x" * (MAX_REQUEST_BYTES - 3))) == UNKNOWN


async def test_once_it_goes_away_nothing_serves_again() -> None:
    health = Health(SERVICES)
    health.close()
    health.set_writes_accepted(True)
    assert [await status(health, service) for service in ("", *SERVICES)] == [NOT_SERVING] * 5
