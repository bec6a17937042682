"""Many followers: the latency from a command to its event, and the cost of each follower."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Final

from inventory_grpc_protos.v1.commands_pb2 import AddStockResponse
from inventory_grpc_protos.v1.events_pb2 import SubscribeRequest, SubscribeResponse
from scripts.bench.catch_up import SUBSCRIBE
from scripts.bench.figures import Group, Sample, Series
from scripts.bench.frames import EXHAUSTED, OK, headers_of_call
from scripts.bench.load import connect, percentile
from scripts.bench.measuring import Bench, Case, head, micros
from scripts.bench.servers import Server
from scripts.bench.traffic import ADD_STOCK, Traffic
from scripts.bench.wire import CallFailed, Connection

FOLLOWERS: Final = (1, 10, 100, 1_000)
STREAMS: Final = 100
"""Followers on each connection."""

COMMANDS: Final = 200
"""Commands a second, at a fixed rate: earlier ones need not have arrived."""

TIMES: Final = 2
BEGIN_SECONDS: Final = 20.0
AGAIN_SECONDS: Final = 0.2
ARRIVE_SECONDS: Final = 90.0
WRITE_SECONDS: Final = 1.0
"""At most: a backlog of deliveries grows for as long as commands are sent."""


def case(bench: Bench) -> Case:
    deliveries = [Series("deliveries", "events/s", at=count) for count in FOLLOWERS]
    commands = [Series("AddStock meanwhile", "calls/s", at=count) for count in FOLLOWERS]

    async def measure() -> None:
        for count, delivered, acknowledged in zip(FOLLOWERS, deliveries, commands, strict=True):
            to_followers, to_writer = await _fan_out(
                bench.inventory,
                bench.shop.add_anywhere,
                count,
                min(WRITE_SECONDS, bench.options.seconds),
            )
            delivered.samples.append(to_followers)
            acknowledged.samples.append(to_writer)

    group = Group(
        "followers",
        [*deliveries, *commands],
        axis="followers",
        notes=[
            f"followers: {COMMANDS} commands a second; waiting is from sending one to its arrival"
        ],
    )
    return Case(group, measure, min(TIMES, bench.options.repeat))


async def _fan_out(
    server: Server, traffic: Traffic, followers: int, seconds: float
) -> tuple[Sample, Sample]:
    """Send commands at a steady rate; return the samples of the followers and of the commands."""
    after = await head(server)
    crowd, writer = _Crowd(after, followers), _Writer(server.address)
    try:
        async with asyncio.timeout(BEGIN_SECONDS):
            await crowd.gather(server.address)
            await connect(server.address, writer.connection)
        used, worked, began = server.cpu_seconds(), time.process_time(), time.perf_counter()
        async with asyncio.timeout(seconds + ARRIVE_SECONDS):
            await writer.write(traffic, seconds)
            await crowd.all_at(after + len(writer.sent))
        ended = time.perf_counter()
        busy = (time.process_time() - worked) / (ended - began)
    except TimeoutError:
        raise CallFailed(f"{followers} followers did not receive all events in time") from None
    finally:
        crowd.leave()
        writer.connection.close()
    waited, took = crowd.waited(writer.sent), ended - began
    cost = micros(server, used, len(waited))
    return (
        Sample(len(waited) / took, *_percentiles(waited), cost, busy),
        Sample(len(writer.sent) / took, *_percentiles(writer.answered)),
    )


def _percentiles(waited: Sequence[float]) -> tuple[float, float, float]:
    middle, most, nearly_all = (percentile(waited, share) * 1_000 for share in (50, 99, 99.9))
    return middle, most, nearly_all


class _Crowd:
    """Followers from one position on, and the time when each position arrived."""

    def __init__(self, after: int, count: int) -> None:
        self._after = after
        self._count = count
        self._headers = b""
        self._request = SubscribeRequest(after_position=after).SerializeToString()
        self._arrived: list[tuple[int, float, int]] = []  # position before, time, position
        self._at: dict[tuple[int, int], int] = {}
        self._connections: list[Connection] = []
        self._goal = after
        self._there = 0
        self._news = asyncio.Event()

    async def gather(self, address: str) -> None:
        """Connect all followers; return when each has its first message."""
        self._headers = headers_of_call(address, SUBSCRIBE)
        for first in range(0, self._count, STREAMS):
            connection = self._connection(first)
            self._connections.append(connection)
            await connect(address, connection)
            self._join(connection, min(STREAMS, self._count - first))
        await self._all_there()

    async def all_at(self, position: int) -> None:
        """Return when every follower has reached *position*."""
        self._goal = position
        self._there = sum(at >= position for at in self._at.values())
        await self._all_there()

    def waited(self, sent: Mapping[int, float]) -> list[float]:
        """Return the latency of each event to each follower, from the time when each was sent."""
        return [
            moment - sent[position]
            for before, moment, reached in self._arrived
            for position in range(before + 1, reached + 1)
        ]

    def leave(self) -> None:
        for connection in self._connections:
            connection.close()

    def _join(self, connection: Connection, count: int) -> None:
        for _ in range(count):
            connection.begin(self._headers, self._request)
        connection.flush()

    async def _all_there(self) -> None:
        while self._there < self._count:
            self._news.clear()
            await self._news.wait()
            for connection in self._connections:
                if connection.ended.done():
                    connection.ended.result()

    def _connection(self, number: int) -> Connection:
        loop = asyncio.get_running_loop()

        def received(stream: int, message: bytes) -> None:
            position = SubscribeResponse.FromString(message).position
            before = self._at.get((number, stream), -1)
            self._at[number, stream] = position
            if position > max(before, self._after):
                self._arrived.append((max(before, self._after), time.perf_counter(), position))
            if before < self._goal <= position:
                self._there += 1
                if self._there == self._count:
                    self._news.set()

        def over(stream: int, trailers: bytes) -> None:
            if EXHAUSTED in trailers and (number, stream) not in self._at:
                # the followers of the last measurement still count for the limit
                loop.call_later(AGAIN_SECONDS, self._join, connection, 1)
                return
            connection.fail(f"a subscription ended: {trailers!r}")
            self._news.set()

        connection = Connection(over, received)
        return connection


class _Writer:
    """Sends commands at a fixed rate, and notes when."""

    def __init__(self, address: str) -> None:
        self._headers = headers_of_call(address, ADD_STOCK)
        self._under_way: dict[int, float] = {}
        self._is_through = False
        self._may_send = asyncio.Event()
        self._may_send.set()
        self.connection = Connection(self._over, self._answered)
        self.sent: dict[int, float] = {}
        """The time of sending, by the position of the event."""

        self.answered: list[float] = []

    async def write(self, traffic: Traffic, seconds: float) -> None:
        """Send for *seconds*; return when every command is acknowledged."""
        began = time.perf_counter()
        for number, call in enumerate(islice(traffic(0), round(COMMANDS * seconds))):
            await asyncio.sleep(began + number / COMMANDS - time.perf_counter())
            await self._may_send.wait()
            stream = self.connection.begin(self._headers, call.request)
            self.connection.flush()
            self._sent_to(stream)
        self._is_through = True
        self._finish_if_idle()
        await self.connection.ended

    def _sent_to(self, stream: int) -> None:
        self._under_way[stream] = time.perf_counter()
        if len(self._under_way) == STREAMS:  # the server allows no more concurrent streams
            self._may_send.clear()

    def _answered(self, stream: int, message: bytes) -> None:
        position = AddStockResponse.FromString(message).position
        self.sent[position] = self._under_way[stream]

    def _over(self, stream: int, trailers: bytes) -> None:
        if OK not in trailers:
            self.connection.fail(f"a command failed: {trailers!r}")
        self.answered.append(time.perf_counter() - self._under_way.pop(stream))
        self._may_send.set()
        self._finish_if_idle()

    def _finish_if_idle(self) -> None:
        if self._is_through and not self._under_way:
            self.connection.finish()
