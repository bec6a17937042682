from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import grpc.aio
import pytest

from inventory_grpc.application.store import Durability
from inventory_grpc.presentation.admin import Admin, ServerFacts
from inventory_grpc.presentation.commands import Commands
from inventory_grpc.presentation.events import Events
from inventory_grpc.presentation.health import Health
from inventory_grpc.presentation.interceptors.admission import Limits
from inventory_grpc.presentation.server import (
    SERVICES,
    CallControls,
    Servicers,
    build_server,
    call_controls,
)
from inventory_grpc_protos.v1.admin_pb2_grpc import InventoryAdminStub
from inventory_grpc_protos.v1.commands_pb2_grpc import InventoryCommandsStub
from inventory_grpc_protos.v1.events_pb2_grpc import InventoryEventsStub
from inventory_grpc_protos.v1.queries_pb2_grpc import InventoryQueriesStub
from tests.support.engine import Engine, assemble, running
from tests.support.stores import TroubledStore, in_memory


@pytest.fixture
def troubled() -> TroubledStore:
    """Return the store under the engine."""
    return TroubledStore()


@pytest.fixture
async def engine(troubled: TroubledStore) -> AsyncIterator[Engine]:
    async with running(assemble(in_memory(troubled))) as engine:
        yield engine


LIMITS = Limits()


@dataclass
class Served:
    """The whole service, in memory, behind a real server."""

    engine: Engine
    server: grpc.aio.Server
    controls: CallControls
    servicers: Servicers
    port: int
    channel: grpc.aio.Channel

    def __post_init__(self) -> None:
        self.commands = InventoryCommandsStub(self.channel)
        self.queries = InventoryQueriesStub(self.channel)
        self.events = InventoryEventsStub(self.channel)
        self.admin = InventoryAdminStub(self.channel)


@asynccontextmanager
async def serving(
    engine: Engine,
    *,
    limits: Limits = LIMITS,
    **settings: Any,  # noqa: ANN401  of `build_server`
) -> AsyncIterator[Served]:
    """Serve *engine* on a port of its own; stop without mercy if the test has not."""
    log, wall = engine.store.event_log, engine.clock.wall
    facts = ServerFacts(
        version="0.1.0",
        log_id=lambda: log.log_id,
        durability=Durability.FULL,
        start_time=wall(),
        breaker=engine.breaker,
        head=log.head,
        published=engine.head,
        lock_wait=lambda: 0,
        expiry_lag=engine.ledger.expiry_lag,
        clock_difference=lambda: 0,
        unsettled_changes=engine.queries.unsettled_changes,
    )
    health, shared = Health(SERVICES), call_controls(limits=limits)
    servicers = Servicers(
        Commands(engine.ledger, wall),
        engine.queries,
        Events(engine.followers, log, wall),
        Admin(facts),
        health,
    )
    server = build_server(servicers, engine.breaker, shared, engine.answers, **settings)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield Served(engine, server, shared, servicers, port, channel)
    await server.stop(None)
    await shared.calls.finished()


@pytest.fixture
async def service(engine: Engine) -> AsyncIterator[Served]:
    async with serving(engine) as service:
        yield service
