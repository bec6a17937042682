"""Metrics of the ledger, storage, followers and caches."""

from collections.abc import Iterable
from typing import Any, Final

from grpc import StatusCode
from prometheus_client.core import Metric

from inventory_grpc.application.failures import Overloaded
from inventory_grpc.application.ledger.circuit_breaker import BreakerState
from inventory_grpc.application.outcomes import DryRun
from inventory_grpc.bootstrap import Engine, Service
from inventory_grpc.presentation import services
from inventory_grpc.presentation.errors import STATUS, reason_of_kind
from inventory_grpc.presentation.events import FACTS
from inventory_grpc.telemetry.families import counter, gauge, histogram, single

MICROS: Final = 1e6


def ledger_of(engine: Engine) -> Iterable[Metric]:
    counts, breaker = engine.ledger.counts, engine.breaker
    commands = {
        (method.name, how): 0
        for method in services.COMMANDS.descriptor.methods
        if not method.name.startswith("Execute")
        for how in ("recorded", "replayed", _outcome(Overloaded))
    }
    for (command, how), count in counts.commands.copy().items():
        commands[command.__name__, _outcome(how)] = count
    yield counter(
        "inventory_commands_total",
        "Commands that the ledger has answered, also those in bulk.",
        ("command", "outcome"),
        commands.items(),
    )
    facts = dict.fromkeys(((fact,) for fact in sorted(FACTS)), 0)
    facts |= {(fact.__name__,): count for fact, count in counts.recorded.copy().items()}
    yield counter(
        "inventory_events_recorded_total",
        "Events recorded by this worker.",
        ("fact",),
        facts.items(),
    )
    yield histogram(
        "inventory_transaction_seconds",
        "Duration of transactions, from reading bulk to the sync to disk, including failed ones.",
        ("kind",),
        [((kind.value,), seconds) for kind, seconds in counts.seconds.items()],
    )
    yield histogram(
        "inventory_transaction_commands",
        "Commands that share a transaction.",
        (),
        [((), counts.transaction_commands)],
    )
    yield gauge(
        "inventory_mailbox_commands",
        "Commands that wait for the writer.",
        (),
        single(engine.ledger.commands_waiting()),
    )
    states = {(state.name.lower(),): int(breaker.state is state) for state in BreakerState}
    yield gauge(
        "inventory_circuit_breaker",
        "1 for the state of the circuit breaker.",
        ("state",),
        states.items(),
    )
    yield counter(
        "inventory_circuit_breaker_changes_total",
        "Changes of the circuit breaker, by its new state.",
        ("state",),
        {(state.name.lower(),): count for state, count in breaker.changes.items()}.items(),
    )


def _outcome(how: bool | type[Any]) -> str:  # noqa: FBT001  the outcome of a command
    """Return the name of an outcome: recorded, replayed, a dry run, or the kind of its refusal."""
    if isinstance(how, bool):
        return "replayed" if how else "recorded"
    if how is DryRun:
        return "dry_run"
    if how is TimeoutError:
        return StatusCode.DEADLINE_EXCEEDED.name.lower()
    return reason_of_kind(how).lower() if how in STATUS else "internal"


def storage_of(engine: Engine) -> Iterable[Metric]:
    accepted = (
        engine.breaker.state is BreakerState.CLOSED and not engine.maintenance.blocks_commands
    )
    yield gauge(
        "inventory_writes_accepted",
        "1 while storage works and no other process keeps the write lock.",
        (),
        single(int(accepted)),
    )
    yield gauge(
        "inventory_head_position",
        "The last position of the log that this worker has published.",
        (),
        single(engine.head.position),
    )
    yield gauge(
        "inventory_expiry_lag_seconds",
        "Time since the oldest overdue hold should have expired.",
        (),
        single(engine.ledger.expiry_lag() / MICROS),
    )
    yield gauge(
        "inventory_clock_difference_seconds",
        "Time by which the wall clock is ahead of the log's time.",
        (),
        single(engine.clock.difference() / MICROS),
    )
    footprint = engine.footprint
    yield gauge(
        "inventory_database_bytes",
        "The size of the database's files.",
        ("part",),
        {(part,): size for part, size in footprint.sizes().items()}.items(),
    )
    if (disk := footprint.disk()) is not None:
        yield gauge(
            "inventory_disk_free_bytes",
            "The free space on the database's disk.",
            (),
            single(disk.free),
        )
        yield gauge(
            "inventory_disk_size_bytes", "The size of the database's disk.", (), single(disk.size)
        )
    yield histogram(
        "inventory_checkpoint_seconds",
        "Duration of checkpoints, which move the WAL into the main file.",
        (),
        [((), footprint.checkpoint_seconds)],
    )


def reading_of(engine: Engine, service: Service) -> Iterable[Metric]:
    lags = engine.followers.lags()
    yield gauge("inventory_subscriptions", "Followers of the log.", (), single(len(lags)))
    yield gauge(
        "inventory_subscription_lag_events",
        "Events that the slowest follower is behind.",
        (),
        single(max(lags, default=0)),
    )
    yield counter(
        "inventory_events_sent_total",
        "Events that were sent to followers.",
        (),
        single(service.servicers.events.sent),
    )
    answers, states = engine.answers, engine.states
    lookups = {
        ("queries", "hit"): answers.hits,
        ("queries", "miss"): answers.misses,
        ("commands", "hit"): states.hits,
        ("commands", "miss"): states.misses,
    }
    if (shared := engine.shared) is not None:
        lookups |= {
            ("shared", "hit"): shared.hits,
            ("shared", "miss"): shared.misses,
            ("shared", "error"): shared.errors,
        }
    yield counter(
        "inventory_cache_lookups_total",
        "Look-ups in the caches.",
        ("cache", "result"),
        lookups.items(),
    )
    yield gauge(
        "inventory_cache_entries",
        "Entries of the caches.",
        ("cache",),
        [(("queries",), answers.count()), (("commands",), states.count())],
    )
