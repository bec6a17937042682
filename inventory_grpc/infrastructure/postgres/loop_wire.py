"""A connection whose answers the event loop awaits, without a thread.

A thread beside a busy event loop waits for the interpreter twice for each answer. So reads of a few
rows, which take the loop no time, are awaited by it.
"""

import asyncio
import select
from collections.abc import Sequence
from typing import Final

from inventory_grpc.infrastructure.postgres.statement import Bound
from inventory_grpc.infrastructure.postgres.wire import ANSWER_SECONDS, Lost, Row, Trip, Wire


class LoopWire:
    """A connection on the running event loop, for one round trip at a time."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._socket: Final = wire.socket
        self._loop = asyncio.get_running_loop()
        self._trip: Trip | None = None
        self._answer: asyncio.Future[Sequence[list[Row]]] = self._loop.create_future()
        self._is_writing = False
        self._loop.add_reader(self._socket, self._go_on, select.POLLIN)

    @property
    def is_closed(self) -> bool:
        return self._wire.is_closed

    def close(self) -> None:
        self._loop.remove_reader(self._socket)
        self._loop.remove_writer(self._socket)
        self._wire.close()

    async def run(self, statements: Sequence[Bound]) -> Sequence[list[Row]]:
        """Send *statements*, await all results, and return the rows of each.

        Raises:
            Failed: one was refused; the connection is closed.
            Lost: the connection is lost, or has not answered in time.
        """
        self._trip = self._wire.trip(statements)
        self._answer = self._loop.create_future()
        deadline = self._loop.call_later(ANSWER_SECONDS, self._give_up)
        self._go_on(None)
        try:
            return await self._answer
        except BaseException:
            self.close()
            raise
        finally:
            self._trip = None
            deadline.cancel()

    def _go_on(self, event: int | None) -> None:
        """Continue the round trip after an *event* of the connection."""
        if self._trip is None:
            self.close()  # the server has ended the connection, or sends what nobody asked for
            return
        try:
            wanted = self._trip.send(event)
        except StopIteration as end:
            self._end(rows=end.value)
        except Exception as error:  # noqa: BLE001  the caller handles it
            self._end(error=error)
        else:
            self._watch(for_writing=bool(wanted & select.POLLOUT))

    def _end(self, *, rows: Sequence[list[Row]] = (), error: Exception | None = None) -> None:
        self._trip = None
        self._watch(for_writing=False)
        if self._answer.done():
            return
        if error is None:
            self._answer.set_result(rows)
        else:
            self._answer.set_exception(error)

    def _watch(self, *, for_writing: bool) -> None:
        """Watch whether the connection can be written to, while a round trip waits for that."""
        if for_writing and not self._is_writing:
            self._loop.add_writer(self._socket, self._go_on, select.POLLOUT)
        elif self._is_writing and not for_writing:
            self._loop.remove_writer(self._socket)
        self._is_writing = for_writing

    def _give_up(self) -> None:
        self._end(error=Lost("no answer in time"))
