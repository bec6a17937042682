"""The client: one service, and everything that can be asked of it."""

from pathlib import Path
from types import TracebackType
from typing import Self

import grpc

from inventory_grpc.client.bulk import Bulk
from inventory_grpc.client.calls import Calls
from inventory_grpc.client.channels import channels
from inventory_grpc.client.connections import Connections
from inventory_grpc.client.events import Events
from inventory_grpc.client.reservation_commands import ReservationCommands
from inventory_grpc.client.reservation_queries import ReservationQueries
from inventory_grpc.client.stock_commands import StockCommands
from inventory_grpc.client.stock_queries import StockQueries
from inventory_grpc_protos.v1.admin_pb2 import GetServerInfoRequest, GetServerInfoResponse


class InventoryClient(
    StockCommands, ReservationCommands, Bulk, StockQueries, ReservationQueries, Events
):
    """The inventory service at one *address*, such as `127.0.0.1:50051`.

    Use it as an async context manager, or `close` it in the end. It may be made anywhere; it
    connects with its first call, and belongs to the event loop of that call from then on.

    *timeout* is the seconds that a call has for all its attempts together, unless it says
    otherwise: above 0, at most 86,400. A call is sent again if the server was unavailable or
    stopping, or named a time to come back. A command carries the same `request_id` every
    time, so it is done once.

    With *ca*, the path or the bytes of a PEM file of authorities, the connection is TLS, and
    the server's certificate must be signed by one of them. *credentials* is for other kinds of
    TLS, such as `grpc.ssl_channel_credentials()` for the authorities of the system. A *token*
    is sent with every call: over TLS, or in the clear to this machine only. A proxy that the
    environment names is used for other machines only, and in the clear only without a token.

    300 calls are under way at a time, and more wait within their timeout; 500 subscriptions
    and streams may be open beside them. They share up to 8 connections.

    Raises:
        OSError: the file *ca* cannot be read.
        TypeError: an argument is of the wrong type.
        ValueError: an argument cannot be used, or the token would leave in the clear.
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
        self._connections = Connections(
            channels(address, ca=ca, credentials=credentials, token=token)
        )
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
        """Hang up. Calls that are under way end with `Cancelled`, and later ones are refused.

        Raises:
            RuntimeError: the client was used in another event loop.
        """
        await self._connections.close()

    async def get_server_info(
        self,
        *,
        timeout: float | None = None,  # noqa: ASYNC109  sent to the server as the deadline
    ) -> GetServerInfoResponse:
        """Return which server this is, which log it has, and whether all is well.

        *timeout* is seconds for all attempts together. It is answered also while writes or
        reads are refused.

        Raises:
            Overloaded: the server has too much to do.
            ShuttingDown: the server is going away.
            InventoryError: one of those that every query may raise, see `StockQueries`.
        """
        return await self._calls(lambda on: on.admin.GetServerInfo, GetServerInfoRequest(), timeout)
