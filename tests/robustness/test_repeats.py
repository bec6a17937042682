"""However often and in whatever encoding a request is sent, it is done once and answered alike."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple

import grpc.aio
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message_factory import GetMessageClass
from grpc import StatusCode

from inventory_grpc_protos.v1 import commands_pb2
from tests.robustness import witness
from tests.robustness.history import Call, History
from tests.robustness.timeline import Timeline
from tests.robustness.traffic import Crowd, Shopper
from tests.robustness.wire import reencoded
from tests.support.caller import SECONDS, Caller, calling, line, refusal, reserving
from tests.support.effort import SEED, campaign, runs
from tests.support.engines import on_each_engine
from tests.support.server_process import ServerProcess, server_process

REQUESTS: Final = 25
"""In each round."""

ROUNDS_A_LIFE: Final = 5
LONGEST: Final = 128
"""Characters of a request id."""

REPLAYED: Final = b"\x60\x01"
"""The bytes at the end of a repeated answer that the first one lacks."""

_SERVICE: Final = commands_pb2.DESCRIPTOR.services_by_name["InventoryCommands"]
_OTHER_RPC: Final = {"AddStock": "RemoveStock", "RemoveStock": "AddStock"}


async def _raw(caller: Caller, rpc: str, request: bytes) -> bytes:
    """Send *request* as it is; return the bytes that were answered."""
    call: Any = caller.channel.unary_unary(f"/{_SERVICE.full_name}/{rpc}")
    answer: bytes = await call(request, timeout=SECONDS)
    return answer


@dataclass
class Repeats:
    """Repeated requests, and every answer as it was on the wire."""

    chance: random.Random
    history: History = field(default_factory=History)
    told: dict[str, list[bytes]] = field(default_factory=dict)
    changed: int = 0

    async def send(self, caller: Caller, rpc: str, request: Any) -> Call:  # noqa: ANN401  of any rpc
        """Send *request* in some encoding; note what came."""
        data = reencoded(request, self.chance)
        call = Call(rpc, request, time.monotonic())
        self.history.calls.append(call)
        try:
            answer = await _raw(caller, rpc, data)
        except grpc.aio.AioRpcError as error:
            call.refused = refusal(error)
            if not call.is_unknown:
                call.returned = time.monotonic()
            return call
        call.returned = time.monotonic()
        kind = GetMessageClass(_SERVICE.methods_by_name[rpc].output_type)
        call.answer = kind.FromString(answer)
        self.told.setdefault(call.request_id, []).append(answer)
        self.history.promised.setdefault(call.request_id, call)
        return call

    async def send_often(self, callers: Sequence[Caller], rpc: str, request: Any) -> None:  # noqa: ANN401  as above
        """Send *request* up to four times, one after the other or all at once."""
        sending = [
            self.send(callers[n % len(callers)], rpc, request)
            for n in range(self.chance.randint(1, 4))
        ]
        if self.chance.random() < 0.5:
            await asyncio.gather(*sending)
        else:
            for one in sending:
                await one

    async def send_changed(self, caller: Caller, call: Call) -> None:
        """See that another request under the id is refused; that it left no trace is judged."""
        rpc, request = call.rpc, type(call.request)()
        request.CopyFrom(call.request)
        if rpc in _OTHER_RPC and self.chance.random() < 0.5:
            rpc = _OTHER_RPC[rpc]
        else:
            request.reference = "another"
        try:
            answer = await _raw(caller, rpc, request.SerializeToString())
        except grpc.aio.AioRpcError as error:
            refused = refusal(error)
            assert (refused.code, refused.reason) == (
                StatusCode.ALREADY_EXISTS,
                "REQUEST_ID_REUSED",
            )
            self.changed += 1
        else:
            raise AssertionError(f"{rpc} {request} was answered {answer!r}")

    def judge(self, timeline: Timeline) -> None:
        """See that all answers to a request are the same bytes, and were given for one deed."""
        for request_id, answers in self.told.items():
            first = min(answers, key=len).removesuffix(REPLAYED)
            assert set(answers) <= {first, first + REPLAYED}, f"{request_id}: {answers}"
            assert answers.count(first) <= 1, f"{request_id} was done more than once"
        witness.check(timeline, self.history.calls)


class Life(NamedTuple):
    """One server process, and two connections to it."""

    server: ServerProcess
    callers: Sequence[Caller]


@asynccontextmanager
async def _life(database: str | Path, log: Path) -> AsyncIterator[Life]:
    async with server_process(database, log) as server:
        address = await server.address()
        async with calling(address) as one, calling(address) as two:
            yield Life(server, [one, two])


async def _round(life: Life, repeats: Repeats, shopper: Shopper) -> list[Call]:
    """Send requests that are new, each of them often; return the sendings."""
    since = len(repeats.history.calls)
    wishes = [shopper.command() for _ in range(REQUESTS)]
    for _, request in wishes:
        if repeats.chance.random() < 0.3:
            request.request_id = request.request_id.ljust(LONGEST, "x")
    await asyncio.gather(
        *(repeats.send_often(life.callers, rpc, request) for rpc, request in wishes)
    )
    sent = repeats.history.calls[since:]
    shopper.crowd.promised += [
        call.request.reservation_id
        for call in sent
        if call.rpc == "ReserveStock" and call.answer is not None and not call.answer.replayed
    ]
    return sent


async def _again(life: Life, repeats: Repeats) -> None:
    """Send what is in doubt again, and some of everything; a few with other content."""
    promised = list(repeats.history.promised.values())
    some = repeats.chance.sample(promised, min(REQUESTS, len(promised)))
    often = [*repeats.history.unsettled(-4 * REQUESTS), *some]
    await asyncio.gather(
        *(repeats.send_often(life.callers, call.rpc, call.request) for call in often)
    )
    for call in some[:2]:
        await repeats.send_changed(life.callers[0], call)


def test_another_encoding_is_the_same_request() -> None:
    chance = random.Random(SEED)
    lines = [line(2), line(3, "toaster"), line(1)]
    cart = reserving(*lines, name="cart-1", request_id="x" * LONGEST, ttl=Duration(seconds=60))
    encodings = {reencoded(cart, chance) for _ in range(200)}
    assert len(encodings) > 100
    for encoding in encodings:
        read = commands_pb2.ReserveStockRequest.FromString(encoding)
        read.DiscardUnknownFields()
        assert read == cart


@on_each_engine
async def test_a_request_repeated_in_any_way_is_done_once_and_answered_alike(
    database: str | Path, tmp_path: Path
) -> None:
    rounds = runs(least=2 * ROUNDS_A_LIFE, ci=40, deep=1_000)
    repeats = Repeats(random.Random(SEED))
    shopper = Shopper(Crowd(repeats.history), "again", repeats.chance)
    with campaign("repeats", rounds=rounds) as noted:
        for _ in range(rounds // ROUNDS_A_LIFE):
            async with _life(database, tmp_path / "log") as life:
                await shopper.crowd.stock(life.callers[0])
                await _again(life, repeats)
                for _ in range(ROUNDS_A_LIFE - 1):
                    await _round(life, repeats, shopper)
                    await _again(life, repeats)
                last = asyncio.create_task(_round(life, repeats, shopper))
                await asyncio.sleep(repeats.chance.uniform(0, 0.08))
                life.server.kill()
                await last
        async with _life(database, tmp_path / "log") as life:
            await _again(life, repeats)
            timeline = Timeline()
            for event in await life.callers[0].log():
                timeline.fold(event)
        repeats.judge(timeline)
        noted.update(
            sent=len(repeats.history.calls),
            done=len(timeline.commands),
            in_doubt=len(repeats.history.unsettled(0)),
            changed=repeats.changed,
        )
    assert noted["in_doubt"], "it was never killed while it was asked"
    assert len(repeats.told) < sum(map(len, repeats.told.values())) / 2, "hardly any was repeated"
