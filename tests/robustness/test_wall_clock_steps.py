"""Under steps of the wall clock, real servers expire no reservation early and all in time."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import pytest
from google.protobuf.duration_pb2 import Duration

from inventory_grpc_protos.v1.admin_pb2 import GetServerInfoRequest
from inventory_grpc_protos.v1.events_pb2 import Event, EventFilter, SubscribeRequest
from inventory_grpc_protos.v1.queries_pb2 import GetReservationRequest
from inventory_grpc_protos.v1.stock_pb2 import RESERVATION_STATE_ACTIVE
from tests.support import faked_time
from tests.support.caller import Caller, adding, calling, line, reserving
from tests.support.effort import campaign, runs
from tests.support.opened import checked, events
from tests.support.server_process import server_process
from tests.support.waiting import eventually

STEPS: Final = ("-1h", "+1d", "+0", "-3d", "2026-11-24 12:00:00")
"""An hour back, a day ahead, right, three days back, standing still."""

HOLD_SECONDS: Final = 2
LATE_SECONDS: Final = 10.0
"""A second as promised, and what a machine with other work may add; steps are of hours."""


@pytest.fixture
def clock(tmp_path: Path) -> Path:
    """Return the file that says what the wall clock is ahead."""
    return tmp_path / "clock"


@pytest.fixture
def faked(clock: Path) -> Mapping[str, str]:
    """Return the environment of a server whose wall clock is set by the file."""
    return faked_time.environment(clock)


def _set(clock: Path, ahead: str) -> None:
    clock.write_text(ahead)


async def test_holds_last_as_promised_under_any_step_of_the_wall_clock(
    path: Path, tmp_path: Path, clock: Path, faked: Mapping[str, str]
) -> None:
    rounds = runs(least=1, ci=1, deep=12)
    made: dict[str, float] = {}
    async with (
        server_process(path, tmp_path / "log", environment=faked) as server,
        calling(await server.address()) as caller,
    ):
        await caller.commands.AddStock(adding(10_000))
        differences, ended = [], dict[str, float]()
        watching = asyncio.create_task(_watch(caller, made, ended))
        with campaign("wall clock steps", steps=rounds * len(STEPS)) as noted:
            for step in STEPS * rounds:
                name = f"cart-{len(made)}"
                made[name] = time.monotonic()
                await caller.commands.ReserveStock(
                    reserving(line(1), name=name, ttl=Duration(seconds=HOLD_SECONDS))
                )
                _set(clock, step)
                await asyncio.sleep(0.7)
                info = await caller.admin.GetServerInfo(GetServerInfoRequest())
                differences.append(info.clock_difference.ToSeconds())
            await eventually(lambda: ended.keys() == made.keys(), HOLD_SECONDS + LATE_SECONDS)
            watching.cancel()
            noted["latest_ms"] = round(1_000 * (max(ended.values()) - HOLD_SECONDS))
        server.kill()
    assert min(differences) < -3_600, "no clock was stepped"
    assert max(differences) > 3_600, "no clock was stepped"
    for name, lasted in ended.items():
        assert HOLD_SECONDS <= lasted <= HOLD_SECONDS + LATE_SECONDS, f"{name}: {lasted}"
    checked(path)
    _assert_never_back(events(path))


async def test_a_server_started_after_a_clock_step_expires_and_forgets_nothing(
    path: Path, tmp_path: Path, clock: Path, faked: Mapping[str, str]
) -> None:
    delivery = adding(100, request_id="delivery-1")
    hold = reserving(line(1), name="cart", ttl=Duration(seconds=1_800))
    async with server_process(path, tmp_path / "one", environment=faked) as one:
        async with calling(await one.address()) as caller:
            await caller.commands.AddStock(delivery)
            await caller.commands.ReserveStock(hold)
        _set(clock, "+8d")
        async with (
            server_process(path, tmp_path / "two", environment=faked) as two,
            calling(await two.address()) as caller,
        ):
            info = await caller.admin.GetServerInfo(GetServerInfoRequest())
            assert info.clock_difference.ToSeconds() > 7 * 86_400, "no clock was stepped"
            assert (await caller.commands.AddStock(delivery)).replayed
            kept = await caller.queries.GetReservation(GetReservationRequest(reservation_id="cart"))
            assert kept.reservation.state == RESERVATION_STATE_ACTIVE
    assert len(events(path)) == 2
    _assert_never_back(events(path))


async def _watch(caller: Caller, made: dict[str, float], ended: dict[str, float]) -> None:
    """Note the duration of each hold, by a clock that is never stepped."""
    matching = EventFilter(event_types=["ReservationExpired"])
    async for message in caller.events.Subscribe(SubscribeRequest(filter=matching)):
        for event in message.events:
            name = event.reservation_expired.reservation_id
            ended[name] = time.monotonic() - made[name]


def _assert_never_back(log: Sequence[Event]) -> None:
    times = [event.record_time.ToMicroseconds() for event in log]
    assert times == sorted(times)
