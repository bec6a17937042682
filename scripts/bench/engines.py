"""The service on PostgreSQL beside the service on a file: the same calls, in turns.

The processor time on PostgreSQL is that of the service and of all processes of PostgreSQL, if it
runs on this machine.
"""

from contextlib import ExitStack
from itertools import cycle
from typing import Final

from scripts.bench import goods
from scripts.bench.calls import ON_HAND, PER_CART
from scripts.bench.figures import Group, Sample, Series
from scripts.bench.load import drive
from scripts.bench.measuring import Bench, Case, fill, recorded
from scripts.bench.postgres import new_schema, url_of
from scripts.bench.servers import Server, inventory_server
from scripts.bench.traffic import Checkout, Traffic, deliveries, in_bulk, in_turn

LEAST: Final = 0.85
LEAST_BULK: Final = 0.7
LEAST_READS: Final = 0.7
LEAST_AT_HAND: Final = 0.95
"""Parts of the rate of a file that a call on PostgreSQL should have."""

MOST_CPU: Final = 1.25
MOST_CPU_OF_CARTS: Final = 1.35
"""The most processor time of a command on PostgreSQL, in times of that on a file. Where others use
the machine as well, these ratios are steadier than those of rates."""

ENGINES: Final = "file", "PostgreSQL"

READ_IN_TURN: Final = 4
CACHED: Final = 2
"""The stocks read in turn, and those in the cache, in times of the stocks of other calls. So the
cache never has the next one in turn, and always those of other calls."""

BULK: Final = "ExecuteStream"
CARTS: Final = "reserve, commit"
MISSED: Final = "GetStock, missed"
AT_HAND: Final = "GetStock, at hand"


def case(bench: Bench) -> Case:
    url = url_of(bench, "engines")
    sides = [_Side(bench, name) for name in ENGINES]
    file, other = sides
    for name, aim in _AIMS.items():
        other.series[name].beside(file.series[name], aim=aim)
    cpu = {name: Series(f"{name}, CPU", "times a file's", most=most) for name, most in _CPU.items()}
    rates = [one.series[name] for name in _AIMS for one in sides]
    group = Group("engines", [*rates, *cpu.values()])
    cached = "--cached-answers", f"{bench.options.stocks * CACHED}"

    async def measure() -> None:
        with ExitStack() as stack:
            schema = stack.enter_context(new_schema(url))
            servers = [
                stack.enter_context(inventory_server(bench.folder / "engines.db", *cached)),
                stack.enter_context(schema.serving(bench.folder / "postgres.log", *cached)),
            ]
            for side, server in zip(sides, servers, strict=True):
                await side.begin(server)
            for _ in range(bench.options.repeat):
                for name in _AIMS:
                    for side in sides:
                        await side.measure(name)
                    used = [side.series[name].samples[-1].server_us for side in sides]
                    if name in cpu and used[0] and used[1]:
                        cpu[name].samples.append(Sample(used[1] / used[0]))

    return Case(group, measure, 1)


_AIMS: Final = {
    "AddStock, spread": LEAST,
    "AddStock, hot": LEAST,
    "ReserveStock, spread": LEAST,
    CARTS: LEAST,
    BULK: LEAST_BULK,
    MISSED: LEAST_READS,
    AT_HAND: LEAST_AT_HAND,
}

_CPU: Final = {
    "AddStock, spread": MOST_CPU,
    "AddStock, hot": MOST_CPU,
    "ReserveStock, spread": MOST_CPU,
    CARTS: MOST_CPU_OF_CARTS,
}


class _Side:
    """The service on one engine, and the series of calls to it."""

    def __init__(self, bench: Bench, engine: str) -> None:
        self._bench = bench
        self._stocks = goods.made_up(bench.options.stocks)
        self._many = goods.made_up(bench.options.stocks * READ_IN_TURN)
        self._checkout = Checkout(cycle(bench.goods.carts))
        self._messages = in_bulk(deliveries(cycle(self._stocks), "delivery"))
        self._calls: dict[str, Traffic] = {
            "AddStock, spread": bench.shop.add_anywhere,
            "AddStock, hot": bench.shop.add_to_one,
            "ReserveStock, spread": bench.shop.reserve_anywhere,
            CARTS: self._checkout.buy,
            MISSED: in_turn(cycle(self._many)),
            AT_HAND: bench.shop.look,
        }
        units = {CARTS: "carts/s", BULK: "events/s"}
        self.series = {
            name: Series(f"{name}, {engine}", units.get(name, "calls/s")) for name in _AIMS
        }
        self._server: Server | None = None

    async def begin(self, server: Server) -> None:
        """Give every stock a history on *server*."""
        self._server = server
        in_carts = self._bench.goods.in_carts
        await fill(server, deliveries(self._many, "begin", ON_HAND), len(self._many))
        await fill(server, deliveries(in_carts, "stock", ON_HAND), len(in_carts))

    async def measure(self, name: str) -> None:
        """Add a sample to the series of this *name*."""
        server, series = self._server, self.series[name]
        assert server is not None
        if name == BULK:
            async with recorded(server, series.name) as events:
                events.append(await self._bench.stream(series, self._messages, server))
        elif name in {MISSED, AT_HAND}:
            if name == AT_HAND:
                await self._read_all_once(server)
            await self._bench.ask(series, server, self._calls[name])
        elif name == CARTS:
            before = self._checkout.events
            async with recorded(server, series.name) as events:
                await self._bench.ask(series, server, self._calls[name], each=PER_CART)
                events.append(self._checkout.events - before)
        else:
            async with recorded(server, series.name) as events:
                events.append(await self._bench.ask(series, server, self._calls[name]))

    async def _read_all_once(self, server: Server) -> None:
        await drive(
            server.addresses,
            in_turn(iter(self._stocks)),
            callers=self._bench.options.callers,
            warm_seconds=0,
            seconds=self._bench.options.seconds + 60,
        )
