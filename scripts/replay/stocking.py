"""Stocking of the stores in bulk, over one stream, with some messages sent twice."""

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

import grpc
import grpc.aio

from inventory_grpc.client import Line
from inventory_grpc_protos.v1 import commands_pb2 as pb
from inventory_grpc_protos.v1.commands_pb2_grpc import InventoryCommandsStub
from scripts.replay.findings import Findings
from scripts.replay.plan import Plan, Sending

BATCH: Final = 500
"""Commands of a message."""

AHEAD: Final = 4
"""Messages sent ahead of their answers."""

STREAM_SECONDS: Final = 1_800.0


@dataclass
class _Delivery:
    """A message, and the positions in its first answer."""

    message: pb.ExecuteStreamRequest
    sending: Sending
    positions: Sequence[int] | None = None


class StockingFailed(Exception):
    """The stream failed or ended early."""


class Stocking:
    """Delivers all goods to the stores over one stream; some messages are sent twice."""

    def __init__(self, plan: Plan, findings: Findings) -> None:
        self._plan = plan
        self._findings = findings
        self._sent: deque[_Delivery] = deque()
        self._again: deque[_Delivery] = deque()
        self._answered = asyncio.Event()
        self._room = asyncio.Semaphore(AHEAD)
        self.sendings: Counter[Sending] = Counter()
        self.requests = 0

    async def stock(
        self, address: str, goods: Iterator[Line], advance: Callable[[int], object]
    ) -> None:
        """Deliver *goods*; report each step to *advance*.

        Raises:
            StockingFailed: not everything was delivered.
        """
        async with grpc.aio.insecure_channel(address, [("grpc.enable_http_proxy", 0)]) as channel:
            stub = InventoryCommandsStub(channel)
            try:
                async for response in stub.ExecuteStream(
                    self._messages(goods), timeout=STREAM_SECONDS
                ):
                    advance(self._take(self._sent.popleft(), response.results))
            except grpc.aio.AioRpcError as error:
                raise StockingFailed(f"stocking in bulk: {error.details()}") from None
        if self._sent:  # the server ended the stream early
            raise StockingFailed(f"{len(self._sent)} messages were not answered")

    async def _messages(self, goods: Iterator[Line]) -> AsyncIterator[pb.ExecuteStreamRequest]:
        for number, lines in enumerate(_batches(goods)):
            sending = self._plan.sending(f"delivery-{number}")
            self.sendings[sending] += 1
            delivery = _Delivery(_message(lines), sending)
            yield await self._send(delivery)
            if sending is Sending.TWICE_AT_ONCE:
                yield await self._send(delivery)
            while self._again:
                yield await self._send(self._again.popleft())
        while self._sent or self._again:
            if self._again:
                yield await self._send(self._again.popleft())
            else:
                self._answered.clear()
                await self._answered.wait()

    async def _send(self, delivery: _Delivery) -> pb.ExecuteStreamRequest:
        """Return the message when the window of unanswered messages allows one more."""
        await self._room.acquire()
        self._sent.append(delivery)
        self.requests += 1
        return delivery.message

    def _take(self, delivery: _Delivery, results: Sequence[pb.CommandResult]) -> int:
        """Check an answer; return the number of stocks it adds."""
        self._room.release()
        self._answered.set()
        self._compare(delivery.message.commands, results, is_again=delivery.positions is not None)
        positions = [result.position for result in results]
        if delivery.positions is not None:
            self._findings.compare("positions of a repeated message", delivery.positions, positions)
            return 0
        delivery.positions = positions
        if delivery.sending is Sending.AGAIN:
            self._again.append(delivery)
        return len(positions)

    def _compare(
        self,
        commands: Sequence[pb.Command],
        results: Sequence[pb.CommandResult],
        *,
        is_again: bool,
    ) -> None:
        """Check that each command was executed once, and as the first for its stock."""
        self._findings.compare("results of a message", len(commands), len(results))
        for command, result in zip(commands, results, strict=False):
            if result.version != 1 or result.replayed != is_again:
                self._findings.add(
                    f"{command.add_stock.request_id}: version 1 expected, replayed: {is_again}; "
                    f"{_line(result)} found"
                )


def _batches(goods: Iterator[Line]) -> Iterator[Sequence[Line]]:
    while lines := list(islice(goods, BATCH)):
        yield lines


def _message(lines: Sequence[Line]) -> pb.ExecuteStreamRequest:
    request = pb.ExecuteStreamRequest()
    for product_id, store_id, quantity in lines:
        asked = request.commands.add().add_stock
        asked.request_id = f"stock-{store_id}-{product_id}"
        asked.product_id, asked.store_id, asked.quantity = product_id, store_id, quantity
    return request


def _line(result: pb.CommandResult) -> str:
    return " ".join(str(result).split())
