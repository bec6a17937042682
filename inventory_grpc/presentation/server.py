"""How is the server put together, and taken down?"""

from collections.abc import Collection, Sequence
from typing import Any, Final, NamedTuple, cast

import grpc
import grpc.aio
from grpc_health.v1 import health_pb2_grpc
from grpc_health.v1.health import SERVICE_NAME as HEALTH
from grpc_reflection.v1alpha import reflection, reflection_pb2

from inventory_grpc.application.access import Callers
from inventory_grpc.application.failpoints import pause
from inventory_grpc.application.head import Head
from inventory_grpc.presentation.admin import Admin
from inventory_grpc.presentation.commands import Commands
from inventory_grpc.presentation.events import Events
from inventory_grpc.presentation.health import Health
from inventory_grpc.presentation.interceptors.admission import Admit, Limits
from inventory_grpc.presentation.interceptors.around import Nested
from inventory_grpc.presentation.interceptors.authentication import Authenticate
from inventory_grpc.presentation.interceptors.circuit_breaker import GuardCommands, WriteGate
from inventory_grpc.presentation.interceptors.deadline import KeepDeadlines
from inventory_grpc.presentation.interceptors.decoding import Decode
from inventory_grpc.presentation.interceptors.errors import TranslateErrors
from inventory_grpc.presentation.interceptors.leaving import TurnAway
from inventory_grpc.presentation.interceptors.logging import LogCalls
from inventory_grpc.presentation.interceptors.registry import RunningCalls
from inventory_grpc.presentation.interceptors.sending import SendInTime
from inventory_grpc.presentation.queries import Queries
from inventory_grpc_protos.v1 import admin_pb2, commands_pb2, events_pb2, queries_pb2
from inventory_grpc_protos.v1.admin_pb2_grpc import add_InventoryAdminServicer_to_server
from inventory_grpc_protos.v1.commands_pb2_grpc import add_InventoryCommandsServicer_to_server
from inventory_grpc_protos.v1.queries_pb2_grpc import add_InventoryQueriesServicer_to_server

MAX_PENDING: Final = 10_000
"""Calls of all connections that wait to be looked at; what is beyond is cancelled."""

WINDOW: Final = 256 * 1024
"""Bytes of a stream that its caller may send before they are read, beside the message that is
being read. Over a way of 50 ms there and back, that is still 5 MiB a second."""

_MINUTE_MS: Final = 60_000

OPTIONS: Final = {
    # a port that is taken is an error, not to be shared silently; but for workers
    "grpc.so_reuseport": 0,
    "grpc.max_receive_message_length": 1024 * 1024,
    "grpc.max_send_message_length": 4 * 1024 * 1024,
    # What a caller has sent and nobody has read yet waits here, so much of each stream. Left to
    # itself gRPC lets that grow to megabytes, by how fast the network is.
    "grpc.http2.bdp_probe": 0,
    "grpc.http2.lookahead_bytes": WINDOW,
    "grpc.max_concurrent_streams": 100,  # a connection; the default is without limit
    # which would count streams that are over, until their memory is free, and so refuse
    # callers who keep to the limit
    "grpc.http.overload_protection": 0,
    # calls that came in and were not looked at yet; by default, of more than 1,000 some are
    # cancelled at random, and their callers cannot tell that nothing has happened
    "grpc.server.max_pending_requests": MAX_PENDING,
    "grpc.server.max_pending_requests_hard_limit": MAX_PENDING,
    "grpc.max_metadata_size": 8 * 1024,
    "grpc.absolute_max_metadata_size": 16 * 1024,
    "grpc.keepalive_time_ms": _MINUTE_MS,
    "grpc.keepalive_timeout_ms": 20_000,
    # which is what a ping that nobody answers is given, whatever the line above says
    "grpc.http2.ping_timeout_ms": 20_000,
    "grpc.keepalive_permit_without_calls": 1,
    # the default of 5 minutes sends many a client away that pings to stay connected
    "grpc.http2.min_recv_ping_interval_without_data_ms": 30_000,
    "grpc.max_connection_idle_ms": 15 * _MINUTE_MS,
}
"""What a server is set to; a caller of the same machine is trusted to stay connected."""

OPTIONS_OFF_LOOPBACK: Final = {
    "grpc.max_connection_age_ms": 60 * _MINUTE_MS,
    "grpc.max_connection_age_grace_ms": _MINUTE_MS,
}
"""What is added where load balancers are. It ends subscriptions; followers resume."""

SERVICES: Final[Sequence[str]] = [
    file.DESCRIPTOR.services_by_name[name].full_name
    for file, name in (
        (commands_pb2, "InventoryCommands"),
        (queries_pb2, "InventoryQueries"),
        (events_pb2, "InventoryEvents"),
        (admin_pb2, "InventoryAdmin"),
    )
]
"""The services of this server, by full name."""

COMMANDS: Final = commands_pb2.DESCRIPTOR.services_by_name["InventoryCommands"].full_name
EXECUTE_STREAM: Final = f"/{COMMANDS}/ExecuteStream"

EVENTS: Final = events_pb2.DESCRIPTOR.services_by_name["InventoryEvents"].full_name
SUBSCRIBE: Final = f"/{EVENTS}/Subscribe"

_LIMITS: Final = Limits()
_WATCH: Final = f"/{HEALTH}/Watch"
_REFLECTION_V1: Final = "grpc.reflection.v1.ServerReflection"


class Servicers(NamedTuple):
    """What is served."""

    commands: Commands
    queries: Queries
    events: Events
    admin: Admin
    health: Health


class Doors(NamedTuple):
    """What a server shares with who watches over it, and with its `drain`."""

    calls: RunningCalls
    authentication: Authenticate
    turning_away: TurnAway


def doors(callers: Callers | None = None, open_methods: Collection[str] = ()) -> Doors:
    """Return the doors of a server that is to be built: open to *callers*, or to anybody.

    *open_methods* are open to anybody in either case.
    """
    return Doors(
        RunningCalls(ending_themselves={EXECUTE_STREAM, SUBSCRIBE, _WATCH}),
        Authenticate(callers, open_methods=open_methods),
        TurnAway(),
    )


def build_server(  # noqa: PLR0913  what can differ between servers
    servicers: Servicers,
    gate: WriteGate,
    doors: Doors,
    *,
    is_loopback: bool = True,
    shares_port: bool = False,
    with_reflection: bool = True,
    limits: Limits = _LIMITS,
) -> grpc.aio.Server:
    """Return a server that has no port yet, and is not started."""
    options = OPTIONS | {"grpc.so_reuseport": int(shares_port)}
    if not is_loopback:
        options |= OPTIONS_OFF_LOOPBACK
    server = grpc.aio.server(
        interceptors=interceptors(gate, doors, limits), options=list(options.items())
    )
    unregistered = cast("grpc.aio.Server", _Unregistered(server))
    add_InventoryCommandsServicer_to_server(servicers.commands, unregistered)
    add_InventoryQueriesServicer_to_server(servicers.queries, unregistered)
    add_InventoryAdminServicer_to_server(servicers.admin, unregistered)
    health_pb2_grpc.add_HealthServicer_to_server(servicers.health, unregistered)
    server.add_generic_rpc_handlers([_relaying(servicers.events)])
    if with_reflection:
        server.add_generic_rpc_handlers(_reflecting())
    return server


def interceptors(
    gate: WriteGate, doors: Doors, limits: Limits = _LIMITS
) -> Sequence[grpc.aio.ServerInterceptor]:
    """Return what happens around every call, outermost first, as the one that gRPC asks."""
    log = LogCalls()
    doors.calls.afterwards(log.write_waiting)
    around = Nested(
        doors.calls,
        log,
        TranslateErrors(doors.calls),
        doors.authentication,
        doors.turning_away,
        GuardCommands(gate),
        Admit(limits),
        KeepDeadlines(),
        Decode(),
        SendInTime(),
    )
    return [around]


async def drain(
    server: grpc.aio.Server,
    doors: Doors,
    servicers: Servicers,
    head: Head,
    grace_seconds: float,
) -> None:
    """Stop *server*; return when every call has been answered, and its handler is done.

    The order matters: who asks is told first; streams end by themselves, so that the
    grace is spent on calls that can finish.
    """
    await pause("drain_1")
    servicers.health.close()
    await pause("drain_2")
    head.close()
    servicers.commands.close()
    doors.calls.end_streams()
    await pause("drain_3")
    await doors.turning_away.leave()
    await pause("drain_4")
    await server.stop(grace_seconds)
    await pause("drain_5")
    await doors.calls.finished()


class _Unregistered:
    """A server, as far as generated code needs one, that looks methods up when they are called.

    Of methods that are registered, gRPC waits for each one by itself, and goes through all
    those waits at every call: measured with eighteen of them, that costs 20 µs a call.
    """

    def __init__(self, server: grpc.aio.Server) -> None:
        self.add_generic_rpc_handlers = server.add_generic_rpc_handlers

    def add_registered_method_handlers(self, *_: object) -> None:
        """Leave them to the generic handlers, which know them too."""


def _relaying(events: Events) -> grpc.GenericRpcHandler:
    """Serve events, whose responses are bytes already."""
    handlers: dict[str, Any] = {
        "Subscribe": grpc.unary_stream_rpc_method_handler(
            events.Subscribe,
            request_deserializer=events_pb2.SubscribeRequest.FromString,
        ),
        "ListEvents": grpc.unary_unary_rpc_method_handler(
            events.ListEvents,
            request_deserializer=events_pb2.ListEventsRequest.FromString,
        ),
    }
    return grpc.method_handlers_generic_handler(EVENTS, handlers)


def _reflecting() -> Sequence[grpc.GenericRpcHandler]:
    """Serve reflection under both its names: newer clients ask for v1; the messages are alike."""
    shown = [*SERVICES, HEALTH, reflection.SERVICE_NAME]
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
