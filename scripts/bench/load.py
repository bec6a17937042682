"""The load generator: callers that never pause, and the rate of their answers."""

import asyncio
import time
from array import array
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import cycle, islice
from typing import Final, Self

from scripts.bench.frames import OK, headers_of_call
from scripts.bench.traffic import Call, Traffic
from scripts.bench.wire import CallFailed, Connection

CONNECTIONS: Final = 4
MAX_CALLS: Final = 200_000
"""Callers stop early after this many calls."""

ANSWER_SECONDS: Final = 30.0
"""Timeout of the last answers."""


@dataclass
class Load:
    """The calls that were made, and their latencies.

    Answers before `opens` or after `closes` are not counted, and no call begins after `closes`.
    """

    opens: float
    closes: float
    begun: int = 0
    latencies: "array[float]" = field(default_factory=lambda: array("d"))
    ended: float = 0.0
    busy: float = 0.0
    """The share of the time in which the generator was busy; near 1, it was the bottleneck."""

    @property
    def per_second(self) -> float:
        return len(self.latencies) / (min(self.closes, self.ended) - self.opens)

    def answered(self, began: float, now: float) -> None:
        if self.opens <= now < self.closes:
            self.latencies.append(now - began)
        if self.begun >= MAX_CALLS:
            self.closes = min(self.closes, now)

    def percentile_ms(self, percent: float) -> float:
        return percentile(self.latencies, percent) * 1_000


def percentile(figures: Sequence[float], percent: float) -> float:
    ordered = sorted(figures)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


async def drive(  # noqa: PLR0913  addresses, calls and times
    addresses: Sequence[str],
    traffic: Traffic,
    *,
    callers: int,
    warm_seconds: float,
    seconds: float,
    connections: int = CONNECTIONS,
) -> Load:
    """Run *callers*, each with one call at a time; return the load.

    The connections take the *addresses* in turns, and the callers take the connections so.
    On return, every call has succeeded.

    Raises:
        CallFailed: a call failed.
    """
    async with measured(warm_seconds, seconds, "calls") as load:
        lanes = [
            await _Lane.open(address, load)
            for address in islice(cycle(addresses), min(connections, callers))
        ]
        try:
            for number in range(callers):
                lanes[number % len(lanes)].admit(traffic(number))
            await _all_answered(lanes)
        finally:
            for lane in lanes:
                lane.connection.close()
    return load


@asynccontextmanager
async def measured(warm_seconds: float, seconds: float, what: str) -> AsyncIterator[Load]:
    """Yield a load whose time begins now, and complete it when all calls are answered.

    Raises:
        CallFailed: an answer is missing after the timeout, or no answer counts.
    """
    started, worked = time.perf_counter(), time.process_time()
    load = Load(started + warm_seconds, started + warm_seconds + seconds)
    try:
        async with asyncio.timeout(warm_seconds + seconds + ANSWER_SECONDS):
            yield load
    except TimeoutError:
        raise CallFailed(f"{what} without an answer after {ANSWER_SECONDS:g} s") from None
    if load.begun and not load.latencies:
        raise CallFailed("no answer came in the time that counts; use more --seconds")
    load.ended = time.perf_counter()
    load.busy = (time.process_time() - worked) / (load.ended - started)


async def connect(address: str, connection: Connection) -> None:
    """Connect *connection* to the server at *address*."""
    host, _, port = address.rpartition(":")
    loop = asyncio.get_running_loop()
    await loop.create_connection(lambda: connection, host, int(port))


async def _all_answered(lanes: Sequence["_Lane"]) -> None:
    for lane in lanes:
        lane.connection.flush()
        lane.finish_if_idle()
    for lane in lanes:
        await lane.connection.ended


class _Lane:
    """The callers that share a connection."""

    def __init__(self, address: str, load: Load) -> None:
        self._address = address
        self._load = load
        self._headers: dict[str, bytes] = {}
        self._under_way: dict[int, tuple[float, Iterator[Call]]] = {}
        self.connection = Connection(self._answered)

    @classmethod
    async def open(cls, address: str, load: Load) -> Self:
        lane = cls(address, load)
        await connect(address, lane.connection)
        return lane

    def admit(self, caller: Iterator[Call]) -> None:
        """Make the next call of *caller*, if it has one."""
        call = next(caller, None)
        if call is not None:
            headers = self._headers.get(call.method)
            if headers is None:
                headers = headers_of_call(self._address, call.method)
                self._headers[call.method] = headers
            stream = self.connection.begin(headers, call.request)
            self._under_way[stream] = (time.perf_counter(), caller)
            self._load.begun += 1

    def finish_if_idle(self) -> None:
        if not self._under_way:
            self.connection.finish()

    def _answered(self, stream: int, trailers: bytes) -> None:
        if OK not in trailers:
            self.connection.fail(f"a call failed: {trailers!r}")
            return
        began, caller = self._under_way.pop(stream)
        now = time.perf_counter()
        self._load.answered(began, now)
        if now < self._load.closes:
            self.admit(caller)
        self.finish_if_idle()
