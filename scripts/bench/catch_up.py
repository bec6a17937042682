"""The catch-up of a new follower: events a second, beside an empty stream and SQLite alone."""

from typing import Final

from inventory_grpc_protos.v1.events_pb2 import SubscribeRequest, SubscribeResponse
from scripts.bench import raw
from scripts.bench.echo import POUR, pour_request
from scripts.bench.figures import Group, Sample, Series
from scripts.bench.measuring import Bench, Case, WrongCount, head, micros
from scripts.bench.servers import Server
from scripts.bench.streams import Drained, drained

SUBSCRIBE: Final = "/inventory.v1.InventoryEvents/Subscribe"
MOST: Final = 300_000
"""The newest events that one measurement reads."""


def case(bench: Bench) -> Case:
    poured, alone = Series("empty stream", "events/s"), Series("SQLite alone", "events/s")
    subscribed = Series("Subscribe", "events/s", aim=150_000).beside(poured).beside(alone)

    async def measure() -> None:
        end = await head(bench.inventory)
        after = max(0, end - MOST)
        stream, taken = await catch_up(bench.inventory, after, end)
        subscribed.samples.append(taken)
        request = pour_request(stream.messages, stream.size // stream.messages)
        ceiling = await drained(bench.echo.address, POUR, request)
        poured.samples.append(Sample((end - after) / ceiling.seconds))
        alone.samples.append(Sample(raw.read_all(bench.database, after, end)))

    return Case(Group("catch-up", [poured, alone, subscribed]), measure, bench.options.repeat)


async def catch_up(server: Server, after: int, end: int) -> tuple[Drained, Sample]:
    """Read the log from *after* to its *end*; return the stream and its rate.

    Raises:
        WrongCount: the stream ended at another position.
    """
    request = SubscribeRequest(after_position=after, stop_at_head=True).SerializeToString()
    used = server.cpu_seconds()
    stream = await drained(server.address, SUBSCRIBE, request)
    reached = SubscribeResponse.FromString(stream.last).position
    if reached != end:
        raise WrongCount(f"the stream ended at {reached:,}, and the log at {end:,}")
    count = end - after
    return stream, Sample(
        count / stream.seconds,
        server_us=micros(server, used, count),
        generator_busy=stream.busy,
    )
