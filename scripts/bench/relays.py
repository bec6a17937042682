"""A relay that catches up with a log: its rate to JetStream, and the cost of commands meanwhile.

The relay is measured with the start of its process and beside a Python client that reads the same
events and does nothing with them. NATS runs on the same cores, and stores the messages in files.
"""

import asyncio
import re
import shutil
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from itertools import cycle, islice
from pathlib import Path
from typing import Final, NamedTuple
from urllib.request import urlopen

from inventory_grpc.client import InventoryClient
from inventory_grpc.uuid7 import uuid7
from inventory_grpc_protos.v1.commands_pb2 import AddStockRequest
from scripts.bench import goods, machine
from scripts.bench.figures import BenchmarkFailed, Group, Sample, Series
from scripts.bench.measuring import Bench, Case, fill, head, micros
from scripts.bench.servers import Server
from scripts.bench.traffic import deliveries

EVENTS: Final = 100_000
SECONDS: Final = 120.0
START_SECONDS: Final = 30.0
COUNT: Final = 40_000
"""Commands that are sent while a relay catches up, and as many while it is stopped."""

TURNS: Final = 4

MOST_TIMES: Final = 1.05

_CONFIG: Final = 'port: {port}\nhost: "127.0.0.1"\njetstream {{ store_dir: "{folder}" }}\n'
_SENT: Final = re.compile(r"^inventory_relay_sent_total (\S+)$", re.MULTILINE)


class _Nats(NamedTuple):
    url: str
    process: asyncio.subprocess.Process


class _Relay(NamedTuple):
    process: asyncio.subprocess.Process
    page: int


def case(bench: Bench) -> Case:
    program = shutil.which("nats-server", path=str(Path(sys.executable).parent)) or shutil.which(
        "nats-server"
    )
    if program is None:
        raise BenchmarkFailed("nats-server is not installed: `make tools`")
    read = Series("client that reads", "events/s")
    relayed = Series("relay to JetStream", "events/s", aim=10_000).beside(read)
    reading = Series("processor time of the client", "µs/event")
    relaying = Series("processor time of the relay", "µs/event").beside(reading)
    storing = Series("processor time of NATS", "µs/event")
    alone = Series("AddStock in bulk, server CPU", "µs")
    meanwhile = Series("the same while a relay catches up, server CPU", "µs")
    cost = Series("the latter", "times the former", most=MOST_TIMES)

    async def measure() -> None:
        server = bench.inventory
        if await head(server) < EVENTS:
            await fill(server, _deliveries(bench, EVENTS), EVENTS)
        after = await head(server) - EVENTS
        await _read(server, after, read, reading)
        async with _nats(program, bench.folder) as nats:
            used, begun = server.cpu_seconds(), time.perf_counter()
            stored = machine.cpu_seconds(nats.process.pid) or 0
            relay_used = await _publish(nats, server, after)
            of_server = micros(server, used, EVENTS)
            relayed.samples.append(
                Sample(EVENTS / (time.perf_counter() - begun), server_us=of_server)
            )
            relaying.samples.append(Sample(relay_used / EVENTS * 1e6))
            stored = (machine.cpu_seconds(nats.process.pid) or 0) - stored
            storing.samples.append(Sample(stored / EVENTS * 1e6))
        async with _nats(program, bench.folder) as nats, _catching_up(nats, server, after) as relay:
            one, other, sent = await _in_turns(bench, relay)
        other -= sent * (of_server or 0) / 1e6
        for series, used in ((alone, one), (meanwhile, other)):
            series.samples.append(Sample(used / COUNT * 1e6))
        cost.samples.append(Sample(other / one))

    group = Group(
        "relay",
        [read, relayed, reading, relaying, storing, alone, meanwhile, cost],
        notes=[
            "relay: AddStock in bulk, in turns while the relay is stopped and while it runs",
            "relay: their server CPU is without that of the events that the relay reads meanwhile",
        ],
    )
    return Case(group, measure, bench.options.repeat)


async def _in_turns(bench: Bench, relay: _Relay) -> tuple[float, float, float]:
    """Send commands while the relay is stopped, and while it catches up, in turns.

    Return the processor time of the server for both, and the events that it sent meanwhile.
    """
    one = other = sent = 0.0
    for _ in range(TURNS):
        relay.process.send_signal(signal.SIGSTOP)
        one += await _add(bench)
        relay.process.send_signal(signal.SIGCONT)
        before = await _sent(relay)
        other += await _add(bench)
        after = await _sent(relay)
        sent += after - before
    if after >= EVENTS:
        raise BenchmarkFailed("the relay was at the end before the commands were")
    return one, other, sent


async def _add(bench: Bench) -> float:
    """Add to stocks in bulk; return the processor time of the server.

    Single calls would share fewer transactions beside a busy relay, and cost more for that.
    """
    server, count = bench.inventory, COUNT // TURNS
    used = server.cpu_seconds()
    await fill(server, _deliveries(bench, count), count)
    after = server.cpu_seconds()
    if used is None or after is None:
        raise BenchmarkFailed("this system does not report the processor time of a process")
    return after - used


def _deliveries(bench: Bench, count: int) -> Iterator[AddStockRequest]:
    stocks = islice(cycle(goods.made_up(bench.options.stocks)), count)
    return deliveries(stocks, f"relay-{uuid7()}")


async def _read(server: Server, after: int, rate: Series, cost: Series) -> None:
    used, own, begun = server.cpu_seconds(), time.process_time(), time.perf_counter()
    count = 0
    async with InventoryClient(server.address) as client:
        async for batch in client.subscribe(after_position=after, stop_at_head=True):
            count += len(batch.events)
    took = time.perf_counter() - begun
    rate.samples.append(Sample(count / took, server_us=micros(server, used, count)))
    cost.samples.append(Sample((time.process_time() - own) / count * 1e6))


@asynccontextmanager
async def _nats(program: str, folder: Path) -> AsyncIterator[_Nats]:
    """Run NATS with nothing in it."""
    data = folder / "nats"
    shutil.rmtree(data, ignore_errors=True)
    data.mkdir()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    config = data / "nats.conf"
    config.write_text(_CONFIG.format(port=port, folder=data))
    process = await asyncio.create_subprocess_exec(
        program, "-c", str(config), stderr=asyncio.subprocess.DEVNULL
    )
    try:
        async with asyncio.timeout(START_SECONDS):
            while not await _answers(port):  # noqa: ASYNC110  no event tells
                await asyncio.sleep(0.05)
        yield _Nats(f"nats://127.0.0.1:{port}", process)
    finally:
        process.kill()
        await process.wait()


async def _answers(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True


async def _start(
    nats: _Nats, server: Server, after: int, *options: str
) -> asyncio.subprocess.Process:
    arguments = ["-m", "inventory_grpc", "relay", nats.url, "--server", server.address]
    return await asyncio.create_subprocess_exec(
        sys.executable,
        *arguments,
        "--after",
        str(after),
        *options,
        stderr=asyncio.subprocess.PIPE,
        limit=1024 * 1024,
    )


async def _publish(nats: _Nats, server: Server, after: int) -> float:
    """Publish the events after a position; return the processor time of the relay."""
    before = machine.cpu_of_children()
    process = await _start(nats, server, after, "--until-head")
    try:
        async with asyncio.timeout(SECONDS):
            _, told = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
    if process.returncode:
        raise BenchmarkFailed(f"the relay ended with {process.returncode}: {told.decode()}")
    return machine.cpu_of_children() - before


@asynccontextmanager
async def _catching_up(nats: _Nats, server: Server, after: int) -> AsyncIterator[_Relay]:
    """Run a relay that has begun to publish the events after a position."""
    process = await _start(nats, server, after, "--metrics-listen", "127.0.0.1:0")
    try:
        async with asyncio.timeout(START_SECONDS):
            relay = _Relay(process, await _page(process))
            while not await _sent(relay):  # noqa: ASYNC110  no event tells
                await asyncio.sleep(0.05)
        yield relay
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def _page(process: asyncio.subprocess.Process) -> int:
    assert process.stderr is not None
    async for line in process.stderr:
        if found := re.search(rb"metrics are on port (\d+)", line):
            return int(found[1])
    raise BenchmarkFailed("the relay has no page")


async def _sent(relay: _Relay) -> float:
    def ask() -> str:
        with urlopen(f"http://127.0.0.1:{relay.page}/metrics") as answer:
            text: str = answer.read().decode()
            return text

    found = _SENT.search(await asyncio.to_thread(ask))
    return float(found[1]) if found else 0.0
