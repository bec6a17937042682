"""Load beyond the capacity of a server, sent at a fixed rate without waiting for answers.

Run as a program, in a process of its own: prints one line of JSON. A caller that keeps to
the protocol has no more than `STREAMS` calls on a connection; calls beyond that are held
back, as in any client.
"""

import asyncio
import json
import random
import sys
import time
from array import array
from dataclasses import dataclass, field
from typing import Final, Self

from inventory_grpc_protos.v1.commands_pb2 import AddStockRequest
from scripts.bench.frames import EXHAUSTED, OK, headers_of_call
from scripts.bench.traffic import ADD_STOCK
from scripts.bench.wire import Connection

STREAMS: Final = 100
DEADLINE_SECONDS: Final = 1.0
TICK_SECONDS: Final = 0.002
ANSWER_SECONDS: Final = 20.0

_LATE: Final = b"\x0bgrpc-status\x014"
_PUSHBACK: Final = b"grpc-retry-pushback-ms"


@dataclass
class Flood:
    """The calls sent, and their answers."""

    sent: int = 0
    held_back: int = 0
    answered: "array[float]" = field(default_factory=lambda: array("d"))
    shed: "array[float]" = field(default_factory=lambda: array("d"))
    failed: list[str] = field(default_factory=list)
    shed_ids: list[str] = field(default_factory=list)
    late: int = 0
    """Calls that had no answer by their deadline."""
    seconds: float = 0.0
    in_time: int = 0
    """The number of calls answered within these seconds."""


class _Lane:
    def __init__(self, address: str, flood: Flood) -> None:
        self._flood = flood
        self._headers = headers_of_call(address, ADD_STOCK, f"{DEADLINE_SECONDS * 1_000:.0f}m")
        self.under_way: dict[int, tuple[float, str]] = {}
        self.connection = Connection(self._over)

    @classmethod
    async def open(cls, address: str, flood: Flood) -> Self:
        lane = cls(address, flood)
        host, _, port = address.rpartition(":")
        loop = asyncio.get_running_loop()
        await loop.create_connection(lambda: lane.connection, host, int(port))
        return lane

    def takes(self, request: bytes) -> bool:
        return len(self.under_way) < STREAMS and self.connection.room > len(request) + 5

    def send(self, request: bytes, request_id: str) -> None:
        stream = self.connection.begin(self._headers, request)
        self.under_way[stream] = (time.perf_counter(), request_id)

    def give_up_old(self) -> None:
        """End the calls whose deadline is over, as a client does."""
        now = time.perf_counter()
        while self.under_way:
            stream, (began, _) = next(iter(self.under_way.items()))
            if now - began < DEADLINE_SECONDS:
                return
            del self.under_way[stream]
            self.connection.give_up(stream)
            self._flood.late += 1

    def _over(self, stream: int, trailers: bytes) -> None:
        if stream not in self.under_way:
            return  # it was given up
        began, name = self.under_way.pop(stream)
        waited = time.perf_counter() - began
        if OK in trailers:
            self._flood.answered.append(waited)
        elif EXHAUSTED in trailers and _PUSHBACK in trailers:
            self._flood.shed.append(waited)
            self._flood.shed_ids.append(name)
        elif _LATE in trailers:
            self._flood.late += 1
        else:
            self._flood.failed.append(repr(trailers))


async def pour(address: str, rate: float, connections: int, seconds: float, name: str) -> Flood:
    """Send so many commands a second over so many connections; wait for what is under way."""
    flood = Flood()
    lanes = [await _Lane.open(address, flood) for _ in range(connections)]
    chance = random.Random(name)
    began = time.perf_counter()
    due = 0
    while (now := time.perf_counter() - began) < seconds:
        while due < now * rate:
            due += 1
            lane, request_id = chance.choice(lanes), f"{name}-{due}"
            request = AddStockRequest(
                product_id=f"sku-{chance.randrange(2_000)}",
                store_id="lisbon",
                quantity=1,
                request_id=request_id,
            ).SerializeToString()
            if lane.takes(request):
                lane.send(request, request_id)
                flood.sent += 1
            else:
                flood.held_back += 1
        for lane in lanes:
            lane.give_up_old()
            lane.connection.flush()
        await asyncio.sleep(TICK_SECONDS)
    flood.seconds = time.perf_counter() - began
    flood.in_time = len(flood.answered)
    async with asyncio.timeout(ANSWER_SECONDS):
        while any(lane.under_way for lane in lanes):
            await asyncio.sleep(TICK_SECONDS)
            for lane in lanes:
                lane.give_up_old()
                lane.connection.flush()
    for lane in lanes:
        lane.connection.close()
    return flood


def _told(flood: Flood) -> dict[str, object]:
    return {
        "sent": flood.sent,
        "held_back": flood.held_back,
        "goodput": flood.in_time / flood.seconds,
        "shed": len(flood.shed),
        "late": flood.late,
        "failed": flood.failed[:5],
        "answered_ms": _percentiles(flood.answered),
        "shed_ms": _percentiles(flood.shed),
        "shed_ids": flood.shed_ids[:2_000],
    }


def _percentiles(waited: "array[float]") -> dict[str, float]:
    """Return median and 99th percentile, in milliseconds."""
    ordered = sorted(waited) or [0.0]
    return {f"p{p}": round(ordered[len(ordered) * p // 100] * 1_000, 1) for p in (50, 99)}


if __name__ == "__main__":
    address, rate, connections, seconds, name = sys.argv[1:]
    poured = pour(address, float(rate), int(connections), float(seconds), name)
    print(json.dumps(_told(asyncio.run(poured))))  # noqa: T201  the answer
