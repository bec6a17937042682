"""Where is the service, and what can be asked of it?"""

from types import TracebackType
from typing import Final, Self

import grpc

from inventory_grpc.client.bulk import Bulk
from inventory_grpc.client.calls import Calls
from inventory_grpc.client.commands import Commands
from inventory_grpc.client.events import Events
from inventory_grpc.client.queries import Queries
from inventory_grpc_protos.v1.admin_pb2 import GetServerInfoRequest, GetServerInfoResponse
from inventory_grpc_protos.v1.admin_pb2_grpc import InventoryAdminStub
from inventory_grpc_protos.v1.commands_pb2_grpc import InventoryCommandsStub
from inventory_grpc_protos.v1.events_pb2_grpc import InventoryEventsStub
from inventory_grpc_protos.v1.queries_pb2_grpc import InventoryQueriesStub

OPTIONS: Final = (
    # A connection that died without a word is noticed, also by a follower that only
    # listens. The server allows a ping every 30 seconds; more often, and it hangs up.
    ("grpc.keepalive_time_ms", 45_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    # gRPC waits up to two minutes between attempts to connect, and all calls fail meanwhile.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 5_000),
    # Only transparent retries are left: of requests that the server never saw. A retry
    # policy that came from a name server would multiply with the client's own.
    ("grpc.service_config_disable_resolution", 1),
    # One client, one connection: two of them do not share its limit of concurrent calls.
    ("grpc.use_local_subchannel_pool", 1),
)


class InventoryClient(Commands, Bulk, Queries, Events):
    """The inventory service at one address, such as `127.0.0.1:50051`.

    Used as an async context manager, and made where it is used, in a running event loop.
    Every call has *timeout* seconds for all its attempts together, unless it says
    otherwise: sent again is what found the server unavailable or stopping, or was sent
    away with a time to come back. A command carries the same `request_id` every time, so
    it is done once. Without *credentials*, the connection is in plain text, and a *token*
    is sent to this machine only.
    """

    def __init__(
        self,
        address: str,
        *,
        credentials: grpc.ChannelCredentials | None = None,
        token: str | None = None,
        timeout: float = 10.0,
    ) -> None:
        if token is not None:
            # which refuse to be used with any other machine
            connection = credentials or grpc.local_channel_credentials()
            credentials = grpc.composite_channel_credentials(
                connection, grpc.access_token_call_credentials(token)
            )
        self._channel = (
            grpc.aio.insecure_channel(address, OPTIONS)
            if credentials is None
            else grpc.aio.secure_channel(address, credentials, OPTIONS)
        )
        self._calls = Calls(timeout)
        self._commands = InventoryCommandsStub(self._channel)
        self._queries = InventoryQueriesStub(self._channel)
        self._events = InventoryEventsStub(self._channel)
        self._admin = InventoryAdminStub(self._channel)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Hang up. Calls that are under way are cancelled."""
        await self._channel.close()

    async def get_server_info(
        self,
        *,
        timeout: float | None = None,  # noqa: ASYNC109  sent to the server as the deadline
    ) -> GetServerInfoResponse:
        return await self._calls(self._admin.GetServerInfo, GetServerInfoRequest(), timeout)
