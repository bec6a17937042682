"""Wires the service together; the only module that imports every layer."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib.metadata import version
from typing import NamedTuple

import grpc.aio

from inventory_grpc.application.following import Followers
from inventory_grpc.application.ledger.circuit_breaker import BreakerState, CircuitBreaker
from inventory_grpc.application.ledger.clock import LogClock, watch_for_steps
from inventory_grpc.application.ledger.head import Head
from inventory_grpc.application.ledger.loop import Ledger
from inventory_grpc.application.ledger.states import States
from inventory_grpc.application.ports import MonotonicClock, WallClock
from inventory_grpc.application.queries.events import EventLog
from inventory_grpc.application.queries.snapshot import Queries
from inventory_grpc.application.store import (
    Footprint,
    Maintenance,
    ShowProgress,
    Store,
    without_progress,
)
from inventory_grpc.choices import Catalogue, HealthAccess
from inventory_grpc.domain.values import Instant, ReservationId, Span, StockId
from inventory_grpc.infrastructure import clocks
from inventory_grpc.infrastructure.callers_file import CallersFile
from inventory_grpc.infrastructure.event_bus import InProcessBus
from inventory_grpc.infrastructure.optional import open_shared_cache
from inventory_grpc.infrastructure.store import open_store
from inventory_grpc.presentation.admin import Admin, ServerFacts
from inventory_grpc.presentation.commands import Commands
from inventory_grpc.presentation.events import Events
from inventory_grpc.presentation.health import OPEN_METHODS, Health
from inventory_grpc.presentation.interceptors.admission import Limits
from inventory_grpc.presentation.interceptors.tracing import Tracing
from inventory_grpc.presentation.server import (
    SERVICES,
    CallControls,
    Servicers,
    build_server,
    call_controls,
)
from inventory_grpc.presentation.shared_answers import SharedAnswers
from inventory_grpc.presentation.stock_answers import StockAnswers
from inventory_grpc.presentation.warming import warm
from inventory_grpc.settings import Settings


@dataclass(frozen=True)
class Engine:
    """The service without a server: the parts that servicers call."""

    ledger: Ledger
    queries: Queries
    followers: Followers
    event_log: EventLog
    head: Head
    breaker: CircuitBreaker
    states: States
    answers: StockAnswers
    shared: SharedAnswers | None
    maintenance: Maintenance
    footprint: Footprint
    clock: LogClock
    running: asyncio.Task[None]
    """The ledger's loop; it ends by itself only if storage cannot be recovered."""


@asynccontextmanager
async def engine(
    settings: Settings,
    *,
    wall: WallClock = clocks.wall,
    monotonic: MonotonicClock = clocks.monotonic,
    boot: Callable[[], str] = clocks.boot,
    showing: ShowProgress = without_progress,
) -> AsyncIterator[Engine]:
    """Open the database in *settings* and run the ledger on it; close both on exit.

    *showing* reports the progress of upgrading an older file, and of warming the cache.

    Raises:
        NotOurs, InUse, StorageError: the file cannot be used, and was not changed.
    """
    async with (
        open_store(settings, wall(), showing) as store,
        open_shared_cache(settings.shared_cache) as cache,
    ):
        bus, head = InProcessBus(), Head()
        answers = StockAnswers(head, settings.cached_answers, time.monotonic)
        bus.subscribe(answers)
        shared = SharedAnswers(cache, lambda: store.log.log_id, head) if cache else None
        if shared:
            bus.subscribe(shared)
        breaker = CircuitBreaker(clocks.monotonic, random.random)
        clock = LogClock(wall, monotonic, boot())
        states = States(
            {StockId: settings.cached_stocks, ReservationId: settings.cached_reservations}
        )
        ledger = Ledger(
            store.storage,
            bus,
            head,
            clock,
            breaker,
            states=states,
            remember_seconds=settings.remember_days * 86_400,
            max_batch=settings.max_batch,
            traces=settings.trace_endpoint is not None,
            needs_catalogue=settings.catalogue is Catalogue.REQUIRED,
        )
        await ledger.start()
        if store.refused is not None:
            breaker.failed(store.refused)
        if settings.warm_stocks:
            most = min(settings.warm_stocks, settings.cached_answers)
            with showing("warming the cache") as progress:
                await warm(answers, store.views.latest, most, progress)
        async with _running(ledger, store, head, clock) as running:
            yield Engine(
                ledger,
                Queries(
                    store.views,
                    store.log,
                    needs_catalogue=settings.catalogue is Catalogue.REQUIRED,
                ),
                Followers(store.log, head),
                store.log,
                head,
                breaker,
                states,
                answers,
                shared,
                store.maintenance,
                store.footprint,
                clock,
                running,
            )


@asynccontextmanager
async def _running(
    ledger: Ledger, store: Store, head: Head, clock: LogClock
) -> AsyncIterator[asyncio.Task[None]]:
    """Run the ledger and its background tasks; on exit, let it answer waiting callers."""
    running = asyncio.create_task(ledger.run(), name="ledger")
    watching = [
        asyncio.create_task(store.changes.watch(head, lambda _: ledger.follow())),
        asyncio.create_task(watch_for_steps(clock)),
        asyncio.create_task(store.maintenance.run()),
    ]
    try:
        yield running
    finally:
        for task in watching:
            task.cancel()
        ledger.close()
        await asyncio.wait([running, *watching])


class Service(NamedTuple):
    """A server that is not started yet, and its parts."""

    server: grpc.aio.Server
    servicers: Servicers
    controls: CallControls
    callers: CallersFile | None


def build_service(
    parts: Engine,
    settings: Settings,
    wall: WallClock,
    *,
    shares_port: bool,
    tracing: Tracing | None = None,
) -> Service:
    health = Health(SERVICES)

    def update_health(_: object) -> None:
        closed = parts.breaker.state is BreakerState.CLOSED
        health.set_writes_accepted(closed and not parts.maintenance.blocks_commands)

    parts.breaker.on_change(update_health)
    parts.maintenance.on_change(update_health)
    update_health(None)  # writes may have been refused from the start
    callers = CallersFile(settings.callers) if settings.callers else None
    shared = call_controls(
        callers,
        OPEN_METHODS if settings.health is HealthAccess.OPEN else frozenset(),
        Limits(
            settings.max_commands,
            settings.max_queries,
            settings.max_streams,
            settings.caller_share,
        ),
        tracing,
    )
    facts = ServerFacts(
        version=version("inventory-grpc"),
        log_id=lambda: parts.event_log.log_id,
        durability=settings.durability,
        start_time=wall(),
        breaker=parts.breaker,
        head=parts.event_log.head,
        published=parts.head,
        lock_wait=parts.maintenance.waited,
        expiry_lag=parts.ledger.expiry_lag,
        clock_difference=parts.clock.difference,
        unsettled_changes=parts.queries.unsettled_changes,
    )
    servicers = Servicers(
        commands=Commands(
            parts.ledger,
            wall,
            Span(round(settings.hold_seconds * Instant.SECOND)),
            settings.own_states,
        ),
        queries=parts.queries,
        events=Events(parts.followers, parts.event_log, wall),
        admin=Admin(facts),
        health=health,
    )
    server = build_server(
        servicers,
        parts.breaker,
        shared,
        parts.answers,
        shared=parts.shared,
        is_loopback=settings.is_loopback,
        shares_port=shares_port,
        with_reflection=settings.serves_reflection,
    )
    return Service(server, servicers, shared, callers)
