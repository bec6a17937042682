"""Killed at any moment, the server has forgotten nothing that it said it had done."""

import asyncio
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import grpc.aio
from google.protobuf.duration_pb2 import Duration

from inventory.v1.commands_pb2 import CommitReservationRequest, ReleaseReservationRequest
from inventory.v1.events_pb2 import Event, SubscribeRequest
from tests.support.caller import Caller, adding, calling, line, reserving
from tests.support.journal import Journal
from tests.support.model import Model
from tests.support.server_process import ServerProcess, command_line

CYCLES: Final = 8
CALLERS: Final = 8
SEED: Final = 20260302


async def _trade(caller: Caller, journal: Journal, who: str, chance: random.Random) -> None:
    """Go on with carts for ever, some of them on the two hot products of all callers."""
    for number in range(1_000_000):
        name = f"{who}-{number}"
        await journal.send(
            caller, "AddStock", adding(chance.randint(1, 5), request_id=f"{name}-add")
        )
        cart = [line(chance.randint(1, 3)), line(1, "toaster")][: chance.randint(1, 2)]
        held = await journal.send(
            caller,
            "ReserveStock",
            reserving(*cart, name=name, request_id=f"{name}-reserve", ttl=Duration(seconds=1)),
        )
        if held is None:
            await journal.send(
                caller, "AddStock", adding(3, "toaster", request_id=f"{name}-toaster")
            )
        elif chance.random() < 0.6:
            await journal.send(
                caller,
                "CommitReservation",
                CommitReservationRequest(reservation_id=name, request_id=f"{name}-commit"),
            )
        elif chance.random() < 0.6:
            await journal.send(
                caller,
                "ReleaseReservation",
                ReleaseReservationRequest(reservation_id=name, request_id=f"{name}-release"),
            )


async def _follow(caller: Caller, seen: list[Event]) -> None:
    """Note every event, going on where the last time ended."""
    request = SubscribeRequest(after_position=len(seen))
    try:
        async for message in caller.events.Subscribe(request):
            seen += message.events
    except grpc.aio.AioRpcError:
        return


async def _live_and_be_killed(
    server: ServerProcess, caller: Caller, journal: Journal, seen: list[Event], cycle: int
) -> None:
    chance = random.Random(SEED + cycle)
    busy = [
        asyncio.create_task(
            _trade(caller, journal, f"{cycle}-{who}", random.Random(cycle * 97 + who))
        )
        for who in range(CALLERS)
    ]
    busy.append(asyncio.create_task(_follow(caller, seen)))
    await asyncio.sleep(chance.uniform(0.03, 0.4))
    server.kill()
    await asyncio.sleep(0)
    for task in busy:
        task.cancel()
    await asyncio.wait(busy)


def _check(log: Sequence[Event], journal: Journal, seen: Sequence[Event]) -> set[str]:
    """See that what is there is what was promised; return which requests are."""
    model = Model(event.SerializeToString() for event in log)
    assert model.position == len(log)
    assert list(seen) == list(log[: len(seen)]), "followers saw what is not there"
    recorded: dict[str, int] = {}
    for event in log:
        recorded[event.request_id] = event.position
    for request_id, position in journal.positions():
        assert recorded.get(request_id) == position, f"{request_id} was acknowledged, and is gone"
    assert recorded.keys() - {""} <= journal.asked.keys()
    return set(recorded)


async def _ask_again(
    caller: Caller, journal: Journal, requests: set[str], recorded: set[str]
) -> None:
    """Send requests once more, as callers do that got no answer, or lost it."""
    refused: set[str] = set()
    for request_id in sorted(requests):
        asked, first = journal.asked[request_id], journal.answered.get(request_id)
        try:
            again = await asked.send(caller)
        except grpc.aio.AioRpcError:
            refused.add(request_id)
            continue
        assert again.replayed == (request_id in recorded), request_id
        if first is not None:
            again.replayed = first.replayed
            assert again == first
    assert not refused & recorded, "what was done is told as done"


async def test_killed_under_load_again_and_again_nothing_acknowledged_is_missing(
    path: Path, tmp_path: Path
) -> None:
    journal, seen = Journal(tmp_path / "journal"), list[Event]()
    journal.path.touch()
    for cycle in range(CYCLES):
        server = ServerProcess.begin(path, tmp_path / f"{cycle}.log")
        try:
            known = set(journal.asked)
            async with calling(await server.address()) as caller:
                await _live_and_be_killed(server, caller, journal, seen, cycle)
            server = ServerProcess.begin(path, tmp_path / f"{cycle}-again.log")
            async with calling(await server.address()) as caller:
                recorded = _check(await caller.log(), journal, seen)
                await _ask_again(caller, journal, set(journal.asked) - known, recorded)
        finally:
            server.kill()
    assert len(journal.answered) > CYCLES * 20, "it was not much of a load"
    verified = command_line("verify", "--database", str(path))
    assert (verified.returncode, verified.stdout) == (0, ""), verified.stderr
