"""The client for programs without an event loop."""

from collections.abc import Generator, Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import grpc

from inventory_grpc.client.blocking import blocking, finished, iterating
from inventory_grpc.client.blocking_bulk import executed
from inventory_grpc.client.blocking_connections import BlockingConnections
from inventory_grpc.client.bulk import Bulk
from inventory_grpc.client.bulk_messages import CommandRequest, Result
from inventory_grpc.client.calls import Calls
from inventory_grpc.client.channels import Route
from inventory_grpc.client.client import InventoryClient
from inventory_grpc.client.events import Events
from inventory_grpc.client.policies import Policies
from inventory_grpc.client.products import Products
from inventory_grpc.client.reservation_commands import ReservationCommands
from inventory_grpc.client.reservation_queries import ReservationQueries
from inventory_grpc.client.stock_commands import StockCommands
from inventory_grpc.client.stock_queries import StockQueries
from inventory_grpc.client.stores import Stores


class SyncInventoryClient:
    """The inventory service at one *address*, for code that does not run in an event loop.

    It has the methods of `InventoryClient`, with the same arguments, retries and errors. They
    block: a call returns its answer, and `subscribe`, `events` and `execute_stream` are iterated
    over. *address* and the keywords are those of `InventoryClient` too.

    Threads may share a client. In an event loop use `InventoryClient`: this one would stop it.

    Use it as a context manager, or call `close` at the end. It connects at its first call. After
    a fork, as in the workers of a web server, it connects anew. If gRPC was at work when the
    process forked, in a call of another thread or for an open `InventoryClient`, the new process
    cannot use it: then every call raises a `RuntimeError`, and so does every other client there.

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
        self._connections = BlockingConnections(route.open_blocking_channel)
        self._calls = Calls(self._connections, timeout)

    def __enter__(self) -> Self:
        self._connections.check()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections. Running calls end with `Cancelled`; later calls are refused."""
        finished(self._connections.close())

    add_stock = blocking(StockCommands.add_stock)
    remove_stock = blocking(StockCommands.remove_stock)
    adjust_stock = blocking(StockCommands.adjust_stock)
    reverse_event = blocking(StockCommands.reverse_event)
    move_stock = blocking(StockCommands.move_stock)
    fence_stock = blocking(StockCommands.fence_stock)
    reserve_stock = blocking(ReservationCommands.reserve_stock)
    commit_reservation = blocking(ReservationCommands.commit_reservation)
    release_reservation = blocking(ReservationCommands.release_reservation)
    amend_reservation = blocking(ReservationCommands.amend_reservation)
    extend_reservation = blocking(ReservationCommands.extend_reservation)
    put_product = blocking(Products.put_product)
    retire_product = blocking(Products.retire_product)
    get_product = blocking(Products.get_product)
    list_products = blocking(Products.list_products)
    put_store = blocking(Stores.put_store)
    retire_store = blocking(Stores.retire_store)
    get_store = blocking(Stores.get_store)
    list_stores = blocking(Stores.list_stores)
    set_policy = blocking(Policies.set_policy)
    get_policy = blocking(Policies.get_policy)
    list_policies = blocking(Policies.list_policies)
    execute_batch = blocking(Bulk.execute_batch)
    execute_atomic = blocking(Bulk.execute_atomic)
    get_stock = blocking(StockQueries.get_stock)
    batch_get_stock = blocking(StockQueries.batch_get_stock)
    check_availability = blocking(StockQueries.check_availability)
    get_product_inventory = blocking(StockQueries.get_product_inventory)
    list_stock = blocking(StockQueries.list_stock)
    get_reservation = blocking(ReservationQueries.get_reservation)
    list_reservations = blocking(ReservationQueries.list_reservations)
    list_reservations_at_risk = blocking(ReservationQueries.list_reservations_at_risk)
    subscribe = iterating(Events.subscribe)
    events = iterating(Events.events)
    list_events = blocking(Events.list_events)
    get_server_info = blocking(InventoryClient.get_server_info)

    def execute_stream(
        self, batches: Iterable[Iterable[CommandRequest]]
    ) -> Generator[Sequence[Result], None, None]:
        """Send *batches* as fast as the server accepts them, and yield their outcomes in order.

        Each batch is a list of 1 to 1,000 messages such as `AddStockRequest`; a few hundred are
        enough for full speed. A thread of gRPC takes them from *batches*. The stream has no
        timeout, and is not retried after a failure: then any command whose outcome was not
        yielded may have been done. Set your own `request_id`s to send those again.

        Close it with `contextlib.closing`; otherwise the call stays open until garbage
        collection. A client may have 500 subscriptions and streams open at a time.

        Raises:
            InvalidValue: a batch is empty, or has more than 1,000 commands.
            Overloaded: there are too many streams, or no outcome was read for a minute.
            ShuttingDown: the server stops; all accepted commands were answered.
            TypeError: an item in *batches* is not a command.
            InventoryError: the stream ended before everything was answered. `in_doubt` is true if
                a command without an outcome may have been done.
        """
        return executed(self._connections, batches)
