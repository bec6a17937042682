"""Concurrent calls on a few units are equivalent to some sequential order."""

import asyncio
import random
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final

from google.protobuf.duration_pb2 import Duration

from inventory_grpc_protos.v1 import commands_pb2 as commands
from inventory_grpc_protos.v1 import queries_pb2 as queries
from tests.robustness import witness
from tests.robustness.history import History
from tests.robustness.timeline import Timeline
from tests.robustness.traffic import Crowd
from tests.robustness.wing_gong import Levels, is_linearizable, steps_of
from tests.support.caller import Caller, adding, calling, line, reserving
from tests.support.effort import SEED, campaign, runs
from tests.support.engines import on_each_engine
from tests.support.server_process import ENVIRONMENT, ServerProcess

CALLERS: Final = 8
SLICE: Final = 300
"""Calls that are judged together: about as many as a search can take."""

IMPATIENT_SECONDS: Final = 0.002
"""The deadline of one call in fifty, whose outcome is then often unknown."""

HELD_UP: Final = "before_publish=sleep:0.005@0.2"
"""A pause between a commit and its publication, which readers may notice."""


async def _shop(
    caller: Caller, history: History, name: str, products: tuple[str, ...], chance: random.Random
) -> None:
    """Bring, reserve, pay or give back, and look, without ever touching another's cart."""
    mine: list[str] = []
    for number in range(SLICE // CALLERS):
        rpc, request = _wish(f"{name}-{number}", products, mine, chance)
        seconds = IMPATIENT_SECONDS if chance.random() < 0.02 else 20.0
        call = await history.send(caller, rpc, request, seconds)
        if rpc == "ReserveStock" and call.answer is not None:
            mine.append(request.reservation_id)


def _wish(
    name: str, products: tuple[str, ...], mine: list[str], chance: random.Random
) -> tuple[str, Any]:
    kind, product = chance.random(), chance.choice(products)
    if kind < 0.3:
        return "GetStock", queries.GetStockRequest(product_id=product, store_id="lisbon")
    if kind < 0.45:
        return "AddStock", adding(chance.randint(1, 4), product, request_id=name)
    if kind < 0.75 or not mine:
        lines = [line(chance.randint(1, 5), one) for one in (product, *products)][
            : chance.randint(1, 3)
        ]
        return "ReserveStock", reserving(
            *lines, name=name, request_id=name, ttl=Duration(seconds=3_600)
        )
    about: dict[str, Any] = {
        "reservation_id": mine.pop(chance.randrange(len(mine))),
        "request_id": name,
    }
    if kind < 0.9:
        return "CommitReservation", commands.CommitReservationRequest(**about)
    return "ReleaseReservation", commands.ReleaseReservationRequest(**about)


@on_each_engine
async def test_an_order_exists_for_every_stock_from_values_alone(
    database: str | Path, tmp_path: Path
) -> None:
    slices, chance, calls = runs(least=4, ci=25, deep=1_000), random.Random(SEED), 0
    with campaign("one order, from values", slices=slices, calls_each=SLICE) as noted:
        async with AsyncExitStack() as stack:
            server = ServerProcess.begin(database, tmp_path / "log")
            stack.callback(server.kill)
            address = await server.address()
            callers = [await stack.enter_async_context(calling(address)) for _ in range(2)]
            everything = History()
            for number in range(slices):
                products = f"kettle-{number}", f"toaster-{number}"
                history = History()
                await asyncio.gather(
                    *(
                        _shop(
                            callers[who % 2],
                            history,
                            f"{number}-{who}",
                            products,
                            random.Random(chance.random()),
                        )
                        for who in range(CALLERS)
                    )
                )
                for product in products:
                    steps = steps_of(history.calls, (product, "lisbon"))
                    assert is_linearizable(steps, Levels(0, 0)), f"slice {number}, seed {SEED}"
                calls += len(history.calls)
                everything.calls += history.calls
            timeline = Timeline()
            for event in await callers[0].log():
                timeline.fold(event)
            witness.check(timeline, everything.calls)
            noted.update(calls=calls, in_doubt=len(everything.unsettled(0)))
    assert noted["in_doubt"], "every outcome was known"


@on_each_engine
async def test_reads_never_go_back_and_fit_between_the_answers_to_commands(
    database: str | Path, tmp_path: Path
) -> None:
    rounds, chance = runs(least=1, ci=3, deep=500), random.Random(SEED)
    environment = {**ENVIRONMENT, "INVENTORY_FAIL_POINTS": HELD_UP}
    with campaign("one order, from positions", rounds=rounds) as noted:
        async with AsyncExitStack() as stack:
            server = ServerProcess.begin(database, tmp_path / "log", environment=environment)
            stack.callback(server.kill)
            address = await server.address()
            callers = [await stack.enter_async_context(calling(address)) for _ in range(4)]
            noted["calls"], crowds = 0, list[Crowd]()
            for number in range(rounds):
                products = f"kettle-{number}", f"toaster-{number}", f"lamp-{number}"
                crowd = Crowd(History(), products, name=f"{number}")
                crowds.append(crowd)
                await crowd.stock(callers[0])
                busy = crowd.shoppers(callers, 16, chance, number)
                await asyncio.sleep(1.5)
                for task in busy:
                    task.cancel()
                await asyncio.wait(busy)
            timeline = Timeline()
            for event in await callers[0].log():
                timeline.fold(event)
            history = [call for crowd in crowds for call in crowd.history.calls]
            noted["calls"] = witness.check(timeline, history)
