"""The client of one service, with all its calls."""

from pathlib import Path
from types import TracebackType
from typing import Self

import grpc

from inventory_grpc.client.bulk import Bulk
from inventory_grpc.client.calls import Calls
from inventory_grpc.client.channels import Route
from inventory_grpc.client.events import Events
from inventory_grpc.client.loop_connections import LoopConnections
from inventory_grpc.client.policies import Policies
from inventory_grpc.client.products import Products
from inventory_grpc.client.reservation_commands import ReservationCommands
from inventory_grpc.client.reservation_queries import ReservationQueries
from inventory_grpc.client.stock_commands import StockCommands
from inventory_grpc.client.stock_queries import StockQueries
from inventory_grpc.client.stores import Stores
from inventory_grpc_protos.v1.admin_pb2 import GetServerInfoRequest, GetServerInfoResponse


class InventoryClient(
    StockCommands,
    ReservationCommands,
    Products,
    Stores,
    Policies,
    Bulk,
    StockQueries,
    ReservationQueries,
    Events,
):
    """The inventory service at one *address*, such as `127.0.0.1:50051`.

    Use it as an async context manager, or call `close` at the end. It connects at its first
    call, and belongs to the event loop of that call.

    *timeout* is the default number of seconds for all attempts of a call together: above 0, at
    most 86,400. A call is retried if the server was unavailable or stopping, or gave a retry
    delay. All attempts of a command have the same `request_id`, so it is recorded once.

    With *ca*, the path or the bytes of a PEM file of authorities, the connection uses TLS, and
    the server's certificate must be signed by one of them. *credentials* is for other kinds of
    TLS, such as `grpc.ssl_channel_credentials()` for the authorities of the system. A *token*
    is sent with every call: over TLS, or unencrypted to this machine only. A proxy from the
    environment is used for other machines only, and without TLS only if there is no token.

    At most 300 calls run at a time, and more wait within their timeout; 500 subscriptions and
    streams may be open in addition. They share up to 8 connections.

    Raises:
        OSError: the file *ca* cannot be read.
        TypeError: an argument has the wrong type.
        ValueError: an argument is invalid, or the token would be sent unencrypted.
    """

    def __init__(
        self,
        address: str,
        *,
        ca: str | Path | bytes | None = None,
        credentials: grpc.ChannelCredentials | None = None,
        token: str | None = None,
        timeout: float = 10.0,
    ) -> None:
        route = Route.to(address, ca=ca, credentials=credentials, token=token)
        self._connections = LoopConnections(route.open_channel)
        self._calls = Calls(self._connections, timeout)

    async def __aenter__(self) -> Self:
        self._connections.check()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections. Running calls end with `Cancelled`; later calls are refused.

        Raises:
            RuntimeError: the client was used in another event loop.
        """
        await self._connections.close()

    async def get_server_info(
        self,
        *,
        timeout: float | None = None,  # noqa: ASYNC109  sent to the server as the deadline
    ) -> GetServerInfoResponse:
        """Return the version and log of the server, and the state of its storage.

        *timeout* is in seconds, for all attempts together. The server answers even while it
        refuses writes or reads.

        Raises:
            Overloaded: the server has too much to do.
            ShuttingDown: the server is shutting down.
            InventoryError: one of those that every query may raise, see `StockQueries`.
        """
        return await self._calls(lambda on: on.admin.GetServerInfo, GetServerInfoRequest(), timeout)
