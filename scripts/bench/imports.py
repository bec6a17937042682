"""An import of a file from the command line, beside the client's `ExecuteStream`.

Both send the same deliveries, in turns, with request ids of the same kind. The client makes each
request in its loop, but for its id, and reads no file; the import is measured with the start of
its process.
"""

import asyncio
import csv
import json
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import aclosing
from itertools import cycle, islice
from pathlib import Path
from typing import Final

from inventory_grpc.cli.files.identity import Identity
from inventory_grpc.client import InventoryClient, InventoryError
from inventory_grpc_protos.v1.commands_pb2 import AddStockRequest
from scripts.bench import goods, machine
from scripts.bench.figures import BenchmarkFailed, Group, Sample, Series
from scripts.bench.goods import Stock
from scripts.bench.measuring import Bench, Case, micros, recorded
from scripts.bench.servers import Server
from scripts.bench.traffic import BATCH

ROWS: Final = 200_000
IMPORT_SECONDS: Final = 600.0
QUANTITY: Final = 5


def case(bench: Bench) -> Case:
    stocks = [*islice(cycle(goods.made_up(bench.options.stocks)), ROWS)]
    file = bench.folder / "deliveries.csv"
    streamed = Series("ExecuteStream of the client", "rows/s")
    imported = Series("import", "rows/s").beside(streamed, aim=0.7)
    streaming = Series("processor time of the client", "µs/row")
    importing = Series("processor time of the import", "µs/row").beside(streaming)

    async def measure() -> None:
        turn = f"turn-{len(imported.samples)}"
        _write(file, stocks)
        server = bench.inventory
        ids = _ids(stocks, f"{turn} of the client")
        async with recorded(server, streamed.name) as events:
            used, own, begun = server.cpu_seconds(), time.process_time(), time.perf_counter()
            await _stream(server, stocks, ids)
            streamed.samples.append(_sample(server, used, begun))
            streaming.samples.append(Sample((time.process_time() - own) / ROWS * 1e6))
            events.append(ROWS)
        async with recorded(server, imported.name) as events:
            used, own, begun = server.cpu_seconds(), machine.cpu_of_children(), time.perf_counter()
            await _import(server, file, turn)
            imported.samples.append(_sample(server, used, begun))
            importing.samples.append(Sample((machine.cpu_of_children() - own) / ROWS * 1e6))
            events.append(ROWS)

    group = Group("imports", [streamed, imported, streaming, importing])
    return Case(group, measure, bench.options.repeat)


def _sample(server: Server, used: float | None, begun: float) -> Sample:
    return Sample(ROWS / (time.perf_counter() - begun), server_us=micros(server, used, ROWS))


def _write(file: Path, stocks: Sequence[Stock]) -> None:
    with file.open("w", encoding="utf-8", newline="") as text:
        rows = csv.writer(text)
        rows.writerow(["product_id", "store_id", "quantity", "reference"])
        rows.writerows([*stock, QUANTITY, f"delivery-{n}"] for n, stock in enumerate(stocks))


def _ids(stocks: Sequence[Stock], name: str) -> Sequence[str]:
    """Return request ids as an import makes them."""
    identity = Identity(name)
    return [identity(stock.product_id, f"{stock} {n}".encode()) for n, stock in enumerate(stocks)]


async def _stream(server: Server, stocks: Sequence[Stock], ids: Sequence[str]) -> None:
    def messages() -> Iterator[list[AddStockRequest]]:
        for first in range(0, len(stocks), BATCH):
            yield [
                AddStockRequest(
                    product_id=product_id,
                    store_id=store_id,
                    quantity=QUANTITY,
                    reference=f"delivery-{first + place}",
                    request_id=ids[first + place],
                )
                for place, (product_id, store_id) in enumerate(stocks[first : first + BATCH])
            ]

    async with (
        InventoryClient(server.address) as client,
        aclosing(client.execute_stream(messages())) as answers,
    ):
        async for results in answers:
            if any(isinstance(result, InventoryError) for result in results):
                raise BenchmarkFailed("a command of the client's stream failed")


async def _import(server: Server, file: Path, name: str) -> None:
    arguments = ["-m", "inventory_grpc", "import", str(file), "--name", name, "--output", "json"]
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *arguments,
        "--server",
        server.address,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        told, trouble = await asyncio.wait_for(process.communicate(), IMPORT_SECONDS)
    except TimeoutError:
        process.kill()
        raise BenchmarkFailed(f"an import took more than {IMPORT_SECONDS:.0f} s") from None
    if process.returncode or json.loads(told)["recorded"] != ROWS:
        raise BenchmarkFailed(f"an import failed: {trouble.decode()}")
