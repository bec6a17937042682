"""Builds the gRPC server, and drains it."""

from collections.abc import Collection, Sequence
from functools import partial
from typing import Final, NamedTuple

import grpc
import grpc.aio
from grpc_reflection.v1alpha import reflection, reflection_pb2

from inventory_grpc.application.access import Callers
from inventory_grpc.application.failpoints import pause
from inventory_grpc.application.ledger.head import Head
from inventory_grpc.application.queries.snapshot import Queries
from inventory_grpc.presentation import health, services
from inventory_grpc.presentation.admin import Admin
from inventory_grpc.presentation.commands import Commands
from inventory_grpc.presentation.draining import RefuseWhileDraining, RunningCalls
from inventory_grpc.presentation.events import Events
from inventory_grpc.presentation.health import Health
from inventory_grpc.presentation.interceptors.admission import Admit, Limits
from inventory_grpc.presentation.interceptors.around import Nested
from inventory_grpc.presentation.interceptors.authentication import Authenticate
from inventory_grpc.presentation.interceptors.circuit_breaker import GuardCommands, WriteGate
from inventory_grpc.presentation.interceptors.counting import CallCounts
from inventory_grpc.presentation.interceptors.deadline import KeepDeadlines
from inventory_grpc.presentation.interceptors.decoding import Decode
from inventory_grpc.presentation.interceptors.errors import TranslateErrors
from inventory_grpc.presentation.interceptors.logging import LogCalls
from inventory_grpc.presentation.interceptors.stocks import AnswerStocks
from inventory_grpc.presentation.interceptors.tracing import TraceCalls, Tracing
from inventory_grpc.presentation.nouns import QUERY_ROWS
from inventory_grpc.presentation.services import handler_of, methods_of
from inventory_grpc.presentation.shared_answers import SharedAnswers
from inventory_grpc.presentation.stalled_readers import SendInTime
from inventory_grpc.presentation.stock import MAX_ANSWER_BYTES
from inventory_grpc.presentation.stock_answers import StockAnswers

MAX_PENDING: Final = 10_000
"""The most calls of all connections that wait to be started; gRPC cancels any beyond."""

WINDOW: Final = 256 * 1024
"""Bytes of a stream that its caller may send ahead of the message being read. With a round trip
of 50 ms, that still allows 5 MiB a second."""

_MINUTE_MS: Final = 60_000

OPTIONS: Final = {
    # a port in use is an error and is not shared silently, except among workers
    "grpc.so_reuseport": 0,
    "grpc.max_receive_message_length": 1024 * 1024,
    "grpc.max_send_message_length": MAX_ANSWER_BYTES,
    # These bound the bytes of each stream that were received but not read by a handler. By
    # default gRPC lets them grow to megabytes on a fast network.
    "grpc.http2.bdp_probe": 0,
    "grpc.http2.lookahead_bytes": WINDOW,
    "grpc.max_concurrent_streams": 100,  # for each connection; the default is unlimited
    # overload protection would count ended streams until their memory is freed, and so refuse
    # callers within the limit
    "grpc.http.overload_protection": 0,
    # received calls that are not started; by default gRPC cancels some at random above 1,000,
    # and their callers cannot tell that nothing has happened
    "grpc.server.max_pending_requests": MAX_PENDING,
    "grpc.server.max_pending_requests_hard_limit": MAX_PENDING,
    "grpc.max_metadata_size": 8 * 1024,
    "grpc.absolute_max_metadata_size": 16 * 1024,
    "grpc.keepalive_time_ms": _MINUTE_MS,
    "grpc.keepalive_timeout_ms": 20_000,
    # the time for the answer to a ping; gRPC ignores the previous option for it
    "grpc.http2.ping_timeout_ms": 20_000,
    "grpc.keepalive_permit_without_calls": 1,
    # the default of 5 minutes disconnects many clients that ping to stay connected
    "grpc.http2.min_recv_ping_interval_without_data_ms": 30_000,
    "grpc.max_connection_idle_ms": 15 * _MINUTE_MS,
}
"""Options of every server; on loopback, connections have no maximum age."""

OPTIONS_OFF_LOOPBACK: Final = {
    "grpc.max_connection_age_ms": 60 * _MINUTE_MS,
    "grpc.max_connection_age_grace_ms": _MINUTE_MS,
}
"""Additional options behind load balancers. They end subscriptions, and followers resume."""

SERVICES: Final = [service.descriptor.full_name for service in services.OURS]
"""The services of the contract, by full name."""

COMMANDS: Final = services.COMMANDS.descriptor.full_name
EXECUTE_STREAM: Final = f"/{COMMANDS}/ExecuteStream"
SUBSCRIBE: Final = f"/{services.EVENTS.descriptor.full_name}/Subscribe"

_LIMITS: Final = Limits()
_WATCH: Final = f"/{health.SERVICE}/Watch"
_REFLECTION_V1: Final = "grpc.reflection.v1.ServerReflection"


class Servicers(NamedTuple):
    commands: Commands
    queries: Queries
    events: Events
    admin: Admin
    health: Health


class CallControls(NamedTuple):
    """The interceptors that other parts of a running server choose or use."""

    calls: RunningCalls
    authentication: Authenticate
    refusal: RefuseWhileDraining
    counts: CallCounts
    admission: Admit
    tracing: TraceCalls | None


def call_controls(
    callers: Callers | None = None,
    open_methods: Collection[str] = (),
    limits: Limits = _LIMITS,
    tracing: Tracing | None = None,
) -> CallControls:
    """Return the call controls for a server that authenticates *callers*, or nobody if None.

    *open_methods* need no authentication in either case.
    """
    authentication = Authenticate(callers, services.PERMISSIONS, open_methods)
    return CallControls(
        RunningCalls(ending_themselves={EXECUTE_STREAM, SUBSCRIBE, _WATCH}),
        authentication,
        RefuseWhileDraining(),
        CallCounts(services.STREAMS),
        Admit(limits),
        TraceCalls(tracing, authentication.is_trusted) if tracing else None,
    )


def build_server(  # noqa: PLR0913  the differences between servers
    servicers: Servicers,
    gate: WriteGate,
    controls: CallControls,
    answers: StockAnswers,
    *,
    shared: SharedAnswers | None = None,
    is_loopback: bool = True,
    shares_port: bool = False,
    with_reflection: bool = True,
) -> grpc.aio.Server:
    """Return a server without a port that is not started."""
    options = OPTIONS | {"grpc.so_reuseport": int(shares_port)}
    if not is_loopback:
        options |= OPTIONS_OFF_LOOPBACK
    stocks = AnswerStocks(answers, servicers.queries, shared)
    server = grpc.aio.server(
        interceptors=interceptors(gate, controls, stocks), options=list(options.items())
    )
    by_row = {row.name: partial(row.answer, servicers.queries) for row in QUERY_ROWS}
    server.add_generic_rpc_handlers(
        [
            handler_of(services.COMMANDS, servicers.commands.methods),
            handler_of(services.QUERIES, by_row),
            handler_of(services.EVENTS, methods_of(servicers.events, services.EVENTS)),
            handler_of(services.ADMIN, methods_of(servicers.admin, services.ADMIN)),
            handler_of(services.HEALTH, methods_of(servicers.health, services.HEALTH)),
        ]
    )
    if with_reflection:
        server.add_generic_rpc_handlers(_reflecting())
    return server


def interceptors(
    gate: WriteGate, controls: CallControls, stocks: AnswerStocks
) -> Sequence[grpc.aio.ServerInterceptor]:
    """Return the single interceptor for gRPC; it nests all others, outermost first."""
    log = LogCalls(controls.counts)
    controls.calls.afterwards(log.write_waiting)
    around = Nested(
        controls.calls,
        *([controls.tracing] if controls.tracing else []),
        log,
        TranslateErrors(controls.calls),
        controls.authentication,
        controls.refusal,
        GuardCommands(gate),
        controls.admission,
        KeepDeadlines(),
        stocks,
        Decode(),
        SendInTime(),
    )
    return [around]


async def drain(
    server: grpc.aio.Server,
    controls: CallControls,
    servicers: Servicers,
    head: Head,
    grace_seconds: float,
) -> None:
    """Stop *server*; return when every call has been answered and its handler is done.

    The order matters: health changes first, then streams end, so that the grace period is left
    for calls that can finish.
    """
    await pause("drain_1")
    servicers.health.close()
    await pause("drain_2")
    head.close()
    servicers.commands.close()
    controls.calls.end_streams()
    await pause("drain_3")
    await controls.refusal.drain()
    await pause("drain_4")
    await server.stop(grace_seconds)
    await pause("drain_5")
    await controls.calls.finished()


def _reflecting() -> Sequence[grpc.GenericRpcHandler]:
    """Serve reflection as v1alpha and v1, which have the same messages."""
    shown = [*SERVICES, health.SERVICE, reflection.SERVICE_NAME]
    servicer = reflection.aio.ReflectionServicer(shown)
    handler = grpc.stream_stream_rpc_method_handler(
        servicer.ServerReflectionInfo,
        request_deserializer=reflection_pb2.ServerReflectionRequest.FromString,
        response_serializer=reflection_pb2.ServerReflectionResponse.SerializeToString,
    )
    return [
        grpc.method_handlers_generic_handler(name, {"ServerReflectionInfo": handler})
        for name in (reflection.SERVICE_NAME, _REFLECTION_V1)
    ]
