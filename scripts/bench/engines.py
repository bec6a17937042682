"""The service on PostgreSQL beside the service on a file: the same calls, in turns.

The processor time on PostgreSQL is that of the service and of all processes of PostgreSQL, if it
runs on this machine. Its database gets a schema, which is dropped at the end.
"""

import secrets
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from itertools import cycle
from pathlib import Path
from typing import Final

import psutil
import psycopg
from psycopg import sql

from scripts.bench import goods
from scripts.bench.calls import ON_HAND, PER_CART
from scripts.bench.figures import BenchmarkFailed, Group, Series
from scripts.bench.measuring import Bench, Case, fill, recorded
from scripts.bench.servers import Server, inventory_server, serving
from scripts.bench.traffic import Checkout, Traffic, deliveries, in_bulk

LEAST: Final = 0.85
LEAST_BULK: Final = 0.7
LEAST_READS: Final = 0.7
"""Parts of the rate of a file that a call on PostgreSQL should have."""

ENGINES: Final = "file", "PostgreSQL"


def case(bench: Bench) -> Case:
    if bench.options.postgres is None:
        raise BenchmarkFailed("engines: name an empty database, --postgres postgresql://…")
    sides = [_Side(bench, name) for name in ENGINES]
    file, other = sides
    for name, aim in _AIMS.items():
        other.series[name].beside(file.series[name], aim=aim)
    group = Group("engines", [one.series[name] for name in _AIMS for one in sides])

    async def measure() -> None:
        with ExitStack() as stack:
            servers = [
                stack.enter_context(inventory_server(bench.folder / "engines.db")),
                stack.enter_context(_on_postgres(bench.options.postgres or "", bench.folder)),
            ]
            for side, server in zip(sides, servers, strict=True):
                await side.begin(server)
            for _ in range(bench.options.repeat):
                for name in _AIMS:
                    for side in sides:
                        await side.measure(name)

    return Case(group, measure, 1)


_AIMS: Final = {
    "AddStock, spread": LEAST,
    "AddStock, hot": LEAST,
    "ReserveStock, spread": LEAST,
    "reserve, commit": LEAST,
    "ExecuteStream": LEAST_BULK,
    "GetStock, missed": LEAST_READS,
}


class _Side:
    """The service on one engine, and the series of calls to it."""

    def __init__(self, bench: Bench, engine: str) -> None:
        self._bench = bench
        stocks = goods.made_up(bench.options.stocks)
        self._checkout = Checkout(cycle(bench.goods.carts))
        self._messages = in_bulk(deliveries(cycle(stocks), "delivery"))
        self._calls: dict[str, Traffic] = {
            "AddStock, spread": bench.shop.add_anywhere,
            "AddStock, hot": bench.shop.add_to_one,
            "ReserveStock, spread": bench.shop.reserve_anywhere,
            "reserve, commit": self._checkout.buy,
            "GetStock, missed": bench.shop.look,
        }
        units = {"reserve, commit": "carts/s", "ExecuteStream": "events/s"}
        self.series = {
            name: Series(f"{name}, {engine}", units.get(name, "calls/s")) for name in _AIMS
        }
        self._server: Server | None = None

    async def begin(self, server: Server) -> None:
        """Give every stock a history on *server*."""
        self._server = server
        stocks = goods.made_up(self._bench.options.stocks)
        in_carts = self._bench.goods.in_carts
        await fill(server, deliveries(stocks, "begin", ON_HAND), len(stocks))
        await fill(server, deliveries(in_carts, "stock", ON_HAND), len(in_carts))

    async def measure(self, name: str) -> None:
        """Add a sample to the series of this *name*."""
        server, series = self._server, self.series[name]
        assert server is not None
        if name == "ExecuteStream":
            async with recorded(server, series.name) as events:
                events.append(await self._bench.stream(series, self._messages, server))
        elif name == "GetStock, missed":  # the commands before have emptied the caches
            await self._bench.ask(series, server, self._calls[name])
        elif name == "reserve, commit":
            before = self._checkout.events
            async with recorded(server, series.name) as events:
                await self._bench.ask(series, server, self._calls[name], each=PER_CART)
                events.append(self._checkout.events - before)
        else:
            async with recorded(server, series.name) as events:
                events.append(await self._bench.ask(series, server, self._calls[name]))


@contextmanager
def _on_postgres(url: str, folder: Path) -> Iterator[Server]:
    """Serve from a new schema, with the processes of PostgreSQL among those of the server."""
    schema = f"bench_{secrets.token_hex(6)}"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(schema)))
        postmaster = _parent(connection.info.backend_pid)
    try:
        path = f"{url}{'&' if '?' in url else '?'}options=-csearch_path%3D{schema}"
        with serving(path, folder / "postgres.log") as server:
            yield replace(server, process_ids=(*server.process_ids, *postmaster))
    finally:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(sql.SQL("DROP SCHEMA {} CASCADE").format(sql.Identifier(schema)))


def _parent(process: int) -> tuple[int, ...]:
    """Return the process of PostgreSQL that started *process*, if it is on this machine."""
    if not psutil.pid_exists(process):
        return ()
    found = psutil.Process(process)
    return (found.ppid(),) if found.name().startswith("postgres") else ()
