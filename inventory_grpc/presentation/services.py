"""The services of the server, with the role and the handler of each method."""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple, cast

import grpc
from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.message_factory import GetMessageClass
from grpc_health.v1 import health_pb2

from inventory_grpc.application.access import Role
from inventory_grpc.presentation import admin, commands, events, health
from inventory_grpc.presentation.interceptors.around import MAKERS
from inventory_grpc.presentation.nouns import QUERY_ROWS
from inventory_grpc_protos.v1 import admin_pb2, events_pb2, queries_pb2


class Service(NamedTuple):
    """A service, and the least role that each of its methods needs."""

    descriptor: ServiceDescriptor
    roles: Mapping[str, Role]
    answers_bytes: bool = False
    """Whether its methods return responses as bytes."""


COMMANDS: Final = Service(commands.SERVICE, commands.ROLES)
QUERIES: Final = Service(
    queries_pb2.DESCRIPTOR.services_by_name["InventoryQueries"],
    {row.name: row.role for row in QUERY_ROWS},
)
EVENTS: Final = Service(
    events_pb2.DESCRIPTOR.services_by_name["InventoryEvents"], events.ROLES, answers_bytes=True
)
ADMIN: Final = Service(admin_pb2.DESCRIPTOR.services_by_name["InventoryAdmin"], admin.ROLES)
HEALTH: Final = Service(
    cast("ServiceDescriptor", health_pb2.DESCRIPTOR.services_by_name["Health"]), health.ROLES
)

OURS: Final = (COMMANDS, QUERIES, EVENTS, ADMIN)
"""The services of the contract."""

_REFLECTIONS: Final = (
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
)

PERMISSIONS: Final[Mapping[str, Role]] = {
    **{
        f"/{service.descriptor.full_name}/{method}": role
        for service in (*OURS, HEALTH)
        for method, role in service.roles.items()
    },
    **dict.fromkeys(_REFLECTIONS, Role.READER),
}
"""The least role for each full method name. Other methods are refused."""

STREAMS: Final[Mapping[str, tuple[bool, bool]]] = {
    **{
        f"/{service.descriptor.full_name}/{method.name}": (
            method.client_streaming,
            method.server_streaming,
        )
        for service in (*OURS, HEALTH)
        for method in service.descriptor.methods
    },
    **dict.fromkeys(_REFLECTIONS, (True, True)),
}
"""Whether the requests and the responses of each method are streams, by full name."""


def methods_of(servicer: object, service: Service) -> Mapping[str, Any]:
    return {name: getattr(servicer, name) for name in service.roles}


def handler_of(service: Service, methods: Mapping[str, Any]) -> grpc.GenericRpcHandler:
    """Return the handler of all methods of *service*.

    The methods are not registered with gRPC: it would wait for each registered method separately
    and scan all these waits at every call. With 18 methods, that was measured at 20 µs a call.
    """
    handlers: dict[str, Any] = {
        method.name: MAKERS[method.client_streaming, method.server_streaming](
            methods[method.name],
            request_deserializer=GetMessageClass(method.input_type).FromString,
            response_serializer=None
            if service.answers_bytes
            else GetMessageClass(method.output_type).SerializeToString,
        )
        for method in service.descriptor.methods
    }
    return grpc.method_handlers_generic_handler(service.descriptor.full_name, handlers)
