"""How fast are commands taken in bulk, beside SQLite alone that writes the same rows?"""

from collections.abc import Iterator
from itertools import count, cycle

from scripts.bench import raw
from scripts.bench.figures import Comparison, Group, Sample, Series
from scripts.bench.measuring import (
    STREAMS,
    WARM_SECONDS,
    Bench,
    Case,
    head,
    recorded,
    sample,
)
from scripts.bench.pipeline import AHEAD, pipeline
from scripts.bench.traffic import (
    BATCH,
    EXECUTE_BATCH,
    EXECUTE_STREAM,
    Call,
    deliveries,
    in_bulk,
)


def case(bench: Bench) -> Case:
    alone = Series("SQLite alone", "events/s")
    streamed = Series(f"ExecuteStream of {BATCH}", "events/s", aim=20_000)
    batched = Series(f"ExecuteBatch of {BATCH}", "events/s")
    numbers = count()
    messages: list[Iterator[bytes]] = []

    async def measure() -> None:
        if not messages:
            messages.append(in_bulk(deliveries(cycle(bench.goods.stocks), "delivery")))
        before = await head(bench.inventory)
        await _stream(bench, streamed, messages[0])
        after = await head(bench.inventory)
        file = bench.folder / f"raw-{next(numbers)}.db"
        alone.samples.append(Sample(raw.write_again(bench.database, before, after, BATCH, file)))
        file.unlink()
        await _batches(bench, batched, messages[0])

    group = Group(
        "bulk",
        [alone, streamed, batched],
        [Comparison(streamed, alone, aim=0.35), Comparison(batched, alone)],
        notes=[f"bulk: {STREAMS} streams, each {AHEAD} messages ahead of its answers"],
    )
    return Case(group, measure, bench.options.repeat)


async def _stream(bench: Bench, series: Series, messages: Iterator[bytes]) -> None:
    server = bench.inventory
    async with recorded(server, series.name) as events:
        used = server.cpu_seconds()
        load = await pipeline(
            server.address,
            EXECUTE_STREAM,
            messages,
            streams=STREAMS,
            warm_seconds=WARM_SECONDS,
            seconds=bench.options.seconds,
        )
        series.samples.append(sample(load, server, used, BATCH))
        events.append(load.begun * BATCH)


async def _batches(bench: Bench, series: Series, messages: Iterator[bytes]) -> None:
    def ask(_caller: int) -> Iterator[Call]:
        return (Call(EXECUTE_BATCH, message) for message in messages)

    async with recorded(bench.inventory, series.name) as events:
        callers = STREAMS * AHEAD
        calls = await bench.ask(series, bench.inventory, ask, callers=callers, each=BATCH)
        events.append(calls * BATCH)
