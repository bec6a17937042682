"""A follower receives every event once, in order, one whole command at a time."""

import asyncio
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import grpc.aio
import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from inventory_grpc_protos.v1.commands_pb2 import (
    CommitReservationRequest,
    ExtendReservationRequest,
    ReleaseReservationRequest,
)
from inventory_grpc_protos.v1.events_pb2 import (
    Event,
    EventFilter,
    SubscribeRequest,
    SubscribeResponse,
)
from tests.support.caller import SECONDS, Caller, adding, calling, line, reserving
from tests.support.engines import on_each_engine
from tests.support.model import Model

pytestmark = on_each_engine

HEARTBEAT = Duration(seconds=1)


@dataclass
class Follower:
    """Notes what it is sent, and checks that it fits to what it was sent before."""

    caller: Caller
    chance: random.Random
    filter: EventFilter = field(default_factory=EventFilter)
    max_batch: int = 256
    pause: float = 0.0
    resumes: bool = False
    position: int = 0
    events: list[Event] = field(default_factory=list)
    resumed: int = 0

    async def follow(self, has_all: Callable[[int], bool]) -> None:
        """Follow until everything up to the position reached is everything."""
        while not has_all(self.position):
            request = SubscribeRequest(
                after_position=self.position,
                filter=self.filter,
                max_batch=self.max_batch,
                heartbeat=HEARTBEAT,
            )
            following = self.caller.events.Subscribe(request, timeout=SECONDS)
            async for message in following:
                self.take(message)
                if has_all(self.position) or (self.resumes and self.chance.random() < 0.2):
                    break
                if self.pause:
                    await asyncio.sleep(self.pause)
            following.cancel()
            self.resumed += 1

    def take(self, message: SubscribeResponse) -> None:
        for event in message.events:
            assert self.position < event.position <= message.position
            if self.events:
                assert event.position > self.events[-1].position
            self.events.append(event)
        assert message.position >= self.position
        assert message.head_position >= message.position
        self.position = message.position


async def _trade(caller: Caller, who: int, rounds: int) -> None:
    chance = random.Random(who)
    for number in range(rounds):
        name = f"{who}-{number}"
        await caller.commands.AddStock(adding(2))
        await caller.commands.AddStock(adding(2, "toaster"))
        await caller.commands.ReserveStock(reserving(line(1), line(1, "toaster"), name=name))
        if chance.random() < 0.5:
            await caller.commands.CommitReservation(CommitReservationRequest(reservation_id=name))
        else:
            await caller.commands.ReleaseReservation(ReleaseReservationRequest(reservation_id=name))


async def test_a_follower_goes_from_history_to_live_events_without_a_gap(
    address: str, caller: Caller
) -> None:
    await _trade(caller, 100, 20)
    paid_toasters = EventFilter(product_ids=["toaster"], event_types=["ReservationCommitted"])
    async with calling(address) as other:
        followers = {
            "fast": Follower(other, random.Random(1), max_batch=512),
            "slow": Follower(other, random.Random(2), max_batch=1, pause=0.0005),
            "filtered": Follower(other, random.Random(3), filter=paid_toasters),
            "resuming": Follower(other, random.Random(4), max_batch=7, resumes=True),
            "late": Follower(other, random.Random(5), position=100),
        }
        end: list[int] = []
        following = [
            asyncio.create_task(one.follow(lambda position: end != [] and position >= end[0]))
            for one in followers.values()
        ]
        await asyncio.gather(*(_trade(caller, who, 25) for who in range(4)))
        log = await caller.log()
        end.append(log[-1].position)
        async with asyncio.timeout(SECONDS):
            await asyncio.gather(*following)
    assert Model(event.SerializeToString() for event in log).position == len(log)
    for name in ("fast", "slow", "resuming"):
        assert followers[name].events == log, name
    assert followers["late"].events == log[100:]
    assert followers["filtered"].events == [
        event
        for event in log
        if event.product_id == "toaster" and event.WhichOneof("fact") == "reservation_committed"
    ]
    assert followers["resuming"].resumed > 5


async def _read(
    following: grpc.aio.UnaryStreamCall[SubscribeRequest, SubscribeResponse],
) -> SubscribeResponse:
    message = await asyncio.wait_for(following.read(), SECONDS)
    assert isinstance(message, SubscribeResponse), "the stream has ended"
    return message


async def test_commands_arrive_whole_whatever_the_batch(caller: Caller) -> None:
    lines = [line(1, f"p{number}") for number in range(7)]
    for number in range(7):
        await caller.commands.AddStock(adding(9, f"p{number}"))
    for number in range(3):
        await caller.commands.ReserveStock(reserving(*lines, name=f"r{number}"))
    request = SubscribeRequest(max_batch=1, stop_at_head=True)
    sizes = [len(message.events) async for message in caller.events.Subscribe(request)]
    assert [size for size in sizes if size] == [1] * 7 + [7] * 3


async def test_a_follower_of_an_empty_log_is_told_at_once_that_it_has_caught_up(
    caller: Caller,
) -> None:
    following = caller.events.Subscribe(SubscribeRequest())
    first = await _read(following)
    assert (first.position, first.caught_up, len(first.events)) == (0, True, 0)
    assert first.log_id
    await caller.commands.AddStock(adding(1))
    assert [event.position for event in (await _read(following)).events] == [1]
    following.cancel()


async def test_silence_is_broken_by_heartbeats(caller: Caller) -> None:
    await caller.commands.AddStock(adding(1))
    following = caller.events.Subscribe(SubscribeRequest(from_now=True, heartbeat=HEARTBEAT))
    await _read(following)
    started = time.monotonic()
    beat = await _read(following)
    assert 0.8 < time.monotonic() - started < SECONDS
    assert (beat.position, len(beat.events), beat.caught_up) == (1, 0, False)
    assert abs(beat.server_time.ToMicroseconds() / 1e6 - time.time()) < SECONDS
    following.cancel()


async def test_stop_at_head_ends_at_what_was_there_when_it_was_asked(caller: Caller) -> None:
    for _ in range(5):
        await caller.commands.AddStock(adding(1))
    following = caller.events.Subscribe(SubscribeRequest(stop_at_head=True, max_batch=2))
    messages = [await _read(following)]
    for _ in range(5):
        await caller.commands.AddStock(adding(1))
    while isinstance(message := await following.read(), SubscribeResponse):
        messages.append(message)
    assert [event.position for message in messages for event in message.events] == [1, 2, 3, 4, 5]
    assert (messages[-1].position, messages[-1].caught_up) == (5, True)
    assert [message.caught_up for message in messages].count(True) == 1


async def test_a_follower_may_begin_after_a_time(caller: Caller) -> None:
    times: list[Timestamp] = []
    for number in range(6):
        added = await caller.commands.AddStock(adding(1, f"p{number}"))
        times.append(added.stock.update_time)
        await asyncio.sleep(0.002)
    request = SubscribeRequest(after_time=times[2], stop_at_head=True)
    found = [
        event async for message in caller.events.Subscribe(request) for event in message.events
    ]
    assert [event.position for event in found] == [4, 5, 6]


def _named(kind: str, number: int) -> str:
    return f"{kind}-{number:03}-".ljust(128, "x")


async def _fill_shelves(caller: Caller) -> None:
    await asyncio.gather(
        *(
            caller.commands.AddStock(adding(9, _named("product", n), _named("store", n)))
            for n in range(500)
        )
    )


async def _from(caller: Caller, position: int) -> Sequence[SubscribeResponse]:
    request = SubscribeRequest(after_position=position, stop_at_head=True, max_batch=1)
    return [message async for message in caller.events.Subscribe(request) if message.events]


async def test_the_largest_command_is_recorded_streamed_and_resumed_past(caller: Caller) -> None:
    await _fill_shelves(caller)
    request = reserving(
        *(line(1, _named("product", n), _named("store", n)) for n in range(500)),
        name=_named("reservation", 0),
        order_id=_named("order", 0),
        request_id=_named("request", 0),
        reason="é" * 256,
        reference="€" * 170,
    )
    request.customer_id = _named("customer", 0)
    first = await caller.commands.ReserveStock(request)
    again = await caller.commands.ReserveStock(request)
    assert (first.position, again.replayed, again.reservation) == (1_000, True, first.reservation)
    await caller.commands.ExtendReservation(
        ExtendReservationRequest(
            reservation_id=first.reservation.reservation_id, never_expires=True
        )
    )
    await caller.commands.CommitReservation(
        CommitReservationRequest(
            reservation_id=first.reservation.reservation_id,
            order_id=_named("order", 1),
            reason="é" * 256,
            reference="€" * 170,
        )
    )
    reserved, extended, committed = await _from(caller, 500)
    for message, position in ((reserved, 1_000), (extended, 1_500), (committed, 2_000)):
        assert (len(message.events), message.position) == (500, position)
        assert {event.command_position for event in message.events} == {position - 499}
    assert [message.position for message in await _from(caller, 1_000)] == [1_500, 2_000]
    assert [message.position for message in await _from(caller, 1_500)] == [2_000]
    assert reserved.ByteSize() > 512 * 1024, "it is as large as it can be"
    model = Model(event.SerializeToString() for event in await caller.log())
    assert model.promises[_named("reservation", 0)].state == "committed"


@pytest.mark.parametrize("steps", [1, 3])
async def test_a_position_inside_a_command_is_gone_on_from(caller: Caller, steps: int) -> None:
    for number in range(4):
        await caller.commands.AddStock(adding(9, f"p{number}"))
    await caller.commands.ReserveStock(reserving(*(line(1, f"p{n}") for n in range(4)), name="r1"))
    [rest] = await _from(caller, 4 + steps)
    assert [event.position for event in rest.events] == list(range(5 + steps, 9))
