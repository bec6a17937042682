"""Processor time of a call without gRPC: from the bytes of its request to those of its answer.

The whole service runs in one process, on a real file with full durability. Another checkout
(`--beside`) gets the same bytes in turns, which shows small differences.
"""

import json
import os
import random
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import chain, count, cycle, islice
from pathlib import Path
from typing import Final, NamedTuple

from inventory_grpc_protos.v1.commands_pb2 import (
    AddStockRequest,
    Command,
    CommitReservationRequest,
    ExecuteBatchRequest,
    ExecuteBatchResponse,
    ReserveStockRequest,
)
from scripts.bench import goods, without_grpc
from scripts.bench.calls import ON_HAND
from scripts.bench.figures import BenchmarkFailed, Group, Sample, Series
from scripts.bench.goods import Cart, Stock
from scripts.bench.measuring import Bench, Case
from scripts.bench.servers import ServerFailed
from scripts.bench.traffic import (
    ADD_STOCK,
    ENOUGH,
    EXECUTE_BATCH,
    GET_STOCK,
    RESERVE_STOCK,
    Checkout,
    Shop,
    Traffic,
    deliveries,
)
from scripts.bench.without_grpc import framed, unframed

TOGETHER: Final = 512
"""Commands in a bulk message: as many as the service commits at once."""

LINES: Final = 3
"""Lines of a small cart."""

CARTS: Final = 1_000
"""Real carts, which are bought repeatedly."""

_ROOT: Final = Path(__file__).parents[2]
_MEASURED: Final = {
    "process": "CPU",
    "least": "CPU, the least of all turns",  # the turn that other load disturbed least
    "thread": "CPU of the event loop",
    "wall": "wall",
}
_OTHER: Final = ", other checkout"


class WrongAnswer(BenchmarkFailed):
    """A command was refused that should have succeeded."""


class Kind(NamedTuple):
    """A kind of call."""

    name: str
    method: str
    requests: Iterator[bytes]
    calls: int
    """Calls in a turn."""

    callers: int
    counted: int = 1
    """Commands or carts in a call."""


@dataclass(frozen=True)
class Service:
    """The running service of a checkout, without gRPC."""

    process: "subprocess.Popen[str]"
    folder: Path

    def seconds(self, kind: Kind, requests: Sequence[bytes]) -> Mapping[str, float]:
        """Make the calls, and return their times.

        Raises:
            WrongAnswer: a command of a batch was refused.
            ServerFailed: the process ended.
        """
        asked, answered = self.folder / "requests", self.folder / "answers"
        asked.write_bytes(framed(requests))
        files = {"requests": str(asked), "answers": str(answered)}
        task = {"method": kind.method, "callers": kind.callers} | files
        assert self.process.stdin
        assert self.process.stdout
        print(json.dumps(task), file=self.process.stdin, flush=True)
        said = self.process.stdout.readline()
        if not said:
            last = (self.folder / "log").read_text("utf-8", "replace").splitlines()[-20:]
            raise ServerFailed("\n".join(["the service without gRPC ended:", *last]))
        if kind.method == EXECUTE_BATCH:
            _check(answered)
        seconds: Mapping[str, float] = json.loads(said)
        return seconds


def case(bench: Bench) -> Case:
    checkouts = {"": _ROOT} | ({_OTHER: bench.options.beside} if bench.options.beside else {})
    group = Group("in-process", axis="µs without gRPC")

    async def measure() -> None:
        stocks, carts = goods.made_up(bench.options.stocks), bench.goods.carts[:CARTS]
        kinds = kinds_of(bench.shop, stocks, carts)
        group.places = [kind.name for kind in kinds]
        group.notes = [f"in-process: {TOGETHER} commands in a message", bench.goods.note]
        series = _series(group, [*checkouts])
        with ExitStack() as stack:
            services = {
                name: stack.enter_context(running(root, bench.folder / f"checkout-{number}"))
                for number, (name, root) in enumerate(checkouts.items())
            }
            begin = beginning(stocks, carts)
            requests = list(begin.requests)
            for service in services.values():
                service.seconds(begin, requests)
            for turn in range(bench.options.repeat + 1):
                bench.progress("turns", turn, bench.options.repeat + 1)
                for name, place, seconds in turn_of(services, kinds, reverse=bool(turn % 2)):
                    for what, took in (
                        seconds.items() if turn else ()
                    ):  # the first turn is a warm-up
                        series[what, name, place].samples.append(Sample(took))
        for (what, name, place), least in series.items():
            if what == "least":
                least.samples.append(Sample(min(series["process", name, place].samples).value))

    return Case(group, measure, 1)


def turn_of(
    services: Mapping[str, Service], kinds: Sequence[Kind], *, reverse: bool
) -> Iterator[tuple[str, int, Mapping[str, float]]]:
    """Make the same calls to all services; yield the microseconds of each call."""
    for place, kind in enumerate(kinds):
        requests = list(islice(kind.requests, kind.calls))
        for name in sorted(services, reverse=reverse):
            seconds = services[name].seconds(kind, requests)
            count = kind.calls * kind.counted
            yield name, place, {what: took / count * 1e6 for what, took in seconds.items()}


def _series(group: Group, names: Sequence[str]) -> Mapping[tuple[str, str, int], Series]:
    """Add the series to *group*, each compared with that of the other checkout."""
    series = {
        (what, name, place): Series(f"{shown}{name}", "µs", at=place)
        for what, shown in _MEASURED.items()
        for name in names
        for place in range(len(group.places))
    }
    group.series += series.values()
    for (what, name, place), one in series.items():
        if not name and (other := series.get((what, _OTHER, place))):
            one.beside(other)
    return series


def kinds_of(shop: Shop, stocks: Sequence[Stock], carts: Sequence[Cart]) -> Sequence[Kind]:
    """Return the kinds of calls, on known *stocks* and with real *carts*."""
    added = chain.from_iterable(deliveries(stocks, f"day-{day}") for day in count())
    small, real = _bought(_small_carts(stocks), "small"), _bought(cycle(carts), "real")
    return [
        Kind("GetStock", GET_STOCK, _requests(shop.look), 2_000, 1),
        Kind("AddStock", ADD_STOCK, _requests(shop.add_anywhere), 1_000, 64),
        Kind("bulk AddStock", EXECUTE_BATCH, _bulk(added), 8, 4, TOGETHER),
        Kind(f"cart of {LINES} lines", EXECUTE_BATCH, small, 2, 2, TOGETHER // 2),
        Kind("real cart", EXECUTE_BATCH, real, 2, 2, TOGETHER // 2),
    ]


def beginning(stocks: Sequence[Stock], carts: Sequence[Cart]) -> Kind:
    """Return the calls that give every stock a history, and more units than will be taken."""
    sold = {Stock(*line[:2]): None for cart in carts for line in cart.lines}
    known, in_carts = deliveries(stocks, "begin", ENOUGH), deliveries(sold, "real", ON_HAND)
    return Kind("beginning", EXECUTE_BATCH, _bulk(chain(known, in_carts)), 0, 4)


def _requests(traffic: Traffic) -> Iterator[bytes]:
    return (call.request for call in traffic(0))


def _small_carts(stocks: Sequence[Stock]) -> Iterator[Cart]:
    chance = random.Random(4)
    while True:
        yield Cart("ana", [(*stock, 1) for stock in chance.sample(stocks, LINES)])


def _bulk(commands: Iterable[AddStockRequest]) -> Iterator[bytes]:
    return _batches(Command(add_stock=command) for command in commands)


def _bought(carts: Iterator[Cart], name: str) -> Iterator[bytes]:
    """Yield messages that reserve and commit each cart."""
    return _batches(
        Command(reserve_stock=ReserveStockRequest.FromString(call.request))
        if call.method == RESERVE_STOCK
        else Command(commit_reservation=CommitReservationRequest.FromString(call.request))
        for call in Checkout(carts, name).buy(0)
    )


def _batches(commands: Iterator[Command]) -> Iterator[bytes]:
    while batch := list(islice(commands, TOGETHER)):
        yield ExecuteBatchRequest(commands=batch).SerializeToString()


@contextmanager
def running(root: Path, folder: Path) -> Iterator[Service]:
    """Run the service of the checkout at *root*, in a process of its interpreter."""
    folder.mkdir()
    own = root / ".venv/bin/python"
    python = own if root != _ROOT and own.exists() else Path(sys.executable)
    path = os.pathsep.join([str(root), str(root / "generated")])
    with (
        (folder / "log").open("wb") as log,
        subprocess.Popen(
            # without -P, modules beside the script would shadow those of the checkout
            [python, "-P", without_grpc.__file__, folder / "inventory.db"],
            env=os.environ | {"PYTHONPATH": path},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        ) as process,
    ):
        yield Service(process, folder)


def _check(answers: Path) -> None:
    for answer in unframed(answers.read_bytes()):
        for result in ExecuteBatchResponse.FromString(answer).results:
            if result.HasField("error"):
                raise WrongAnswer(f"without gRPC: {result.error.message}")
