"""A check of the load generator by another one, `h2load`.

`h2load` repeats one request and does not check how calls ended. It can only read one stock or
add to one, and the position of the log shows whether its commands were recorded.
"""

import asyncio
import re
import tempfile
from typing import Final

from scripts.bench.figures import BenchmarkFailed, Group, Sample, Series
from scripts.bench.load import CONNECTIONS
from scripts.bench.measuring import Bench, Case, micros, recorded
from scripts.bench.servers import Server
from scripts.bench.traffic import Call, echoed

WARM_CALLS: Final = 2_000

_RATE: Final = re.compile(r"finished in .*, ([\d.]+) req/s")
_SUCCEEDED: Final = re.compile(r" (\d+) succeeded")


class H2loadFailed(BenchmarkFailed):
    """`h2load` is not installed, or not all calls succeeded; the message has its output."""


def case(bench: Bench) -> Case:
    echo = Series("h2load: echo", "calls/s")
    look = Series("h2load: GetStock", "calls/s").beside(echo, aim=0.8)
    to_one = Series("h2load: AddStock, hot", "calls/s").beside(echo, aim=0.6)
    read, command = next(bench.shop.look(0)), bench.shop.anonymous()

    async def ask(series: Series, server: Server, call: Call) -> int:
        used = server.cpu_seconds()
        rate, calls = await _measured(
            server.address, call, callers=bench.options.callers, seconds=bench.options.seconds
        )
        series.samples.append(Sample(rate, server_us=micros(server, used, calls)))
        return calls

    async def measure() -> None:
        await ask(echo, bench.echo, next(echoed(lambda _: iter([read]))(0)))
        await ask(look, bench.inventory, read)
        async with recorded(bench.inventory, to_one.name) as events:
            events.append(await ask(to_one, bench.inventory, command))

    return Case(Group("h2load", [echo, look, to_one]), measure, bench.options.repeat)


async def _measured(address: str, call: Call, *, callers: int, seconds: float) -> tuple[float, int]:
    """Return calls a second, and the number of calls including the warm-up."""
    warm = await _run(address, call, callers, WARM_CALLS)
    count = max(callers, round(warm * seconds))
    return await _run(address, call, callers, count), count + WARM_CALLS


async def _run(address: str, call: Call, callers: int, count: int) -> float:
    with tempfile.NamedTemporaryFile(buffering=0) as body:
        body.write(b"\0" + len(call.request).to_bytes(4, "big") + call.request)
        command = ["h2load", "-c", str(min(CONNECTIONS, callers))]
        command += ["-m", str(max(1, callers // CONNECTIONS))]
        command += ["-n", str(count), "-d", body.name]
        command += ["-H", "content-type: application/grpc", "-H", "te: trailers"]
        try:
            process = await asyncio.create_subprocess_exec(
                *command, f"http://{address}{call.method}", stdout=asyncio.subprocess.PIPE
            )
        except FileNotFoundError:
            raise H2loadFailed("h2load is not installed (Debian, Ubuntu: nghttp2-client)") from None
        output = (await process.communicate())[0].decode()
    rate, succeeded = _RATE.search(output), _SUCCEEDED.search(output)
    if not rate or not succeeded or int(succeeded[1]) != count:
        raise H2loadFailed(output)
    return float(rate[1])
