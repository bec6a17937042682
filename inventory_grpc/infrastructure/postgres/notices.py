"""Notifications that a batch was recorded: a hint to poll at once.

They may get lost, such as while the connection is made anew. So the poll goes on beside them, and
it alone says what is in the log.
"""

import asyncio
import logging
import os
from asyncio import Future
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, Never

import psycopg

from inventory_grpc.application.background import repeat
from inventory_grpc.application.ports import StorageError
from inventory_grpc.application.store import Unusable
from inventory_grpc.infrastructure.postgres.events import NO_END
from inventory_grpc.infrastructure.postgres.server import Server
from inventory_grpc.infrastructure.postgres.session import Pooling
from inventory_grpc.infrastructure.postgres.statement import Bound, Statement

_log = logging.getLogger(__name__)

AGAIN_SECONDS: Final = 1.0
"""The pause before a lost connection is made anew."""

_CHANNEL: Final = "'inventory_' || md5(current_schema())"
"""Each schema has a channel; the id of its log may change."""
_NOTIFY: Final = Statement(f"SELECT pg_notify({_CHANNEL}, $position::int8::text)::text")


def notification(position: int) -> Bound:
    """Return the statement that tells the end of the log, with the commit of its transaction."""
    return _NOTIFY.bind(position=position)


def check_can_listen(server: Server) -> None:
    """Check that notifications would arrive.

    Raises:
        Unusable: a pooler gives each session away after a transaction.
    """
    if server.pooling is Pooling.TRANSACTION:
        raise Unusable(
            "notify=on needs a session that hears notifications, which a pooler of transactions "
            "does not give: set INVENTORY_NOTIFY=off, name PostgreSQL itself, or pool sessions"
        )


class Notices:
    """Listens on a connection of its own, which is made anew when it is lost."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._is_heard = True

    async def listen(self, heard: Callable[[int], None]) -> Never:
        """Call *heard* with each position, and with `NO_END` when some may have been missed."""

        async def turn() -> None:
            with suppress(psycopg.Error, StorageError):
                await self._listen_once(heard)
            if self._is_heard:
                _log.warning("the connection for notifications is lost: the poll goes on alone")
            self._is_heard = False

        await repeat("listening to notifications", turn, AGAIN_SECONDS)

    async def _listen_once(self, heard: Callable[[int], None]) -> None:
        """Return when the connection is lost."""
        connection = await self._connected()
        server, lost = connection.pgconn, asyncio.Event()

        def arrived() -> None:
            try:
                server.consume_input()
            except psycopg.Error:
                lost.set()
                return
            while notice := server.notifies():
                heard(int(notice.extra))

        loop = asyncio.get_running_loop()
        # libpq closes its own when the connection is lost, and the number may be taken at once
        socket = os.dup(server.socket)
        loop.add_reader(socket, arrived)
        try:
            if not self._is_heard:
                _log.warning("notifications are heard again")
            self._is_heard = True
            heard(NO_END)
            await lost.wait()
        finally:
            loop.remove_reader(socket)
            os.close(socket)
            connection.close()

    async def _connected(self) -> psycopg.Connection[Any]:
        connecting = asyncio.get_running_loop().run_in_executor(None, self._connect)
        try:
            return await asyncio.shield(connecting)
        except asyncio.CancelledError:
            connecting.add_done_callback(_close)
            raise

    def _connect(self) -> psycopg.Connection[Any]:
        connection = self._server.connect({})
        row = connection.execute(f"SELECT {_CHANNEL}".encode()).fetchone()
        connection.execute(f"LISTEN {row and row[0]}".encode())
        return connection


def _close(connecting: "Future[psycopg.Connection[Any]]") -> None:
    if not connecting.cancelled() and connecting.exception() is None:
        connecting.result().close()
