"""Random requests get a precise refusal, write nothing and disturb no other caller.

One request of a run again: `Wild(f"{SEED}-{number}").request(...)`; a failure names it.
"""

import asyncio
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import grpc
import grpc.aio
from grpc import StatusCode

from inventory_grpc_protos.v1 import commands_pb2
from tests.robustness.rpcs import BESIDE, BULK, OURS, Rpc
from tests.robustness.wild import Wild
from tests.support.caller import Caller, Refused, adding, calling, refusal, refusal_among
from tests.support.effort import SEED, campaign, runs
from tests.support.engines import on_each_engine
from tests.support.opened import checked, events
from tests.support.server_process import command_line, server_process

ALL: Final = [*OURS, *BESIDE]
AT_A_TIME: Final = 64
SECONDS: Final = 20.0
GROWTH: Final = 64 * 2**20

_ASKING: Final = {
    StatusCode.OK,
    StatusCode.INVALID_ARGUMENT,
    StatusCode.NOT_FOUND,
    StatusCode.OUT_OF_RANGE,
    StatusCode.FAILED_PRECONDITION,
}
_COMMANDING: Final = _ASKING | {StatusCode.ALREADY_EXISTS, StatusCode.ABORTED}

_INSIDE: Final = re.compile(
    r"Traceback|\.py\b|/home|/usr|site-packages|sqlite|apsw|psycopg|postgres"
    r"|SELECT |INSERT |<class|object at 0x|Error\b|Exception",
    re.IGNORECASE,
)
"""Texts that no answer may contain."""


SOMETIMES: Final = frozenset(
    {"OK", "INVALID_ARGUMENT", "NOT_FOUND", "ALREADY_EXISTS", "FAILED_PRECONDITION", "ABORTED"}
)
"""Codes that occur in every run."""


@dataclass
class Seen:
    """The answers to the requests."""

    codes: dict[str, int] = field(default_factory=dict)
    positions: set[int] = field(default_factory=set)
    """At which a command was said to have ended."""

    async def send(self, caller: Caller, rpc: Rpc, number: int) -> None:
        """Send the request of this number, and judge the answer."""
        request = Wild(f"{SEED}-{number}").request(rpc.input)
        what = f"{rpc.name} of request {number}, {request!r}"
        code = StatusCode.OK
        try:
            answer = await rpc.answer(caller.channel, request, seconds=SECONDS)
        except grpc.aio.AioRpcError as error:
            code = error.code()
            self._judge(rpc, refusal(error), what)
        else:
            if "InventoryCommands" in rpc.method:
                kind = getattr(commands_pb2, f"{rpc.name}Response")
                self._note(rpc, kind.FromString(answer), what)
        self.codes[code.name] = self.codes.get(code.name, 0) + 1

    def _note(self, rpc: Rpc, response: Any, what: str) -> None:  # noqa: ANN401  of any command
        if rpc not in BULK:
            self.positions.add(response.position)
            return
        for result in response.results:
            self.positions.add(result.position)
            if result.HasField("error"):
                self._judge(rpc, refusal_among(result), what)

    def _judge(self, rpc: Rpc, seen: Refused, what: str) -> None:
        allowed = _COMMANDING if "InventoryCommands" in rpc.method else _ASKING
        assert seen.code in allowed, f"{what}: {seen}"
        assert not _INSIDE.search(seen.message), f"{what}: {seen.message}"
        assert len(seen.message) <= 512, what
        if rpc in OURS:
            assert seen.reason, what
            size = len(seen.trailers.get("grpc-status-details-bin", b""))
            assert size < 4_096, what


@on_each_engine
async def test_random_requests_get_a_precise_answer_and_harm_nothing(
    database: str | Path, tmp_path: Path
) -> None:
    count, seen = runs(least=600, ci=2_000, deep=100_000), Seen()
    async with (
        server_process(database, tmp_path / "log") as server,
        calling(await server.address()) as caller,
    ):
        for store in ("lisbon", "porto"):
            added = await caller.commands.AddStock(adding(1_000, store=store))
            seen.positions.add(added.position)
        numbers = iter(range(count))

        async def one_after_the_other() -> None:
            for number in numbers:
                await seen.send(caller, ALL[number % len(ALL)], number)

        with campaign("fuzz", requests=count) as noted:
            await asyncio.gather(*(one_after_the_other() for _ in range(AT_A_TIME // 2)))
            begun = server.resident_bytes()
            await asyncio.gather(*(one_after_the_other() for _ in range(AT_A_TIME)))
            assert server.resident_bytes() - begun < GROWTH
            noted.update(seen.codes)
        assert seen.codes.keys() >= SOMETIMES, seen.codes
        assert (await caller.commands.AddStock(adding(1))).stock.on_hand > 0
        server.terminate()
        assert await server.ended() == 0
    assert not [line for line in server.log() if line["level"] == "error"]
    _check(database, seen)


def _check(database: str | Path, seen: Seen) -> None:
    """See that nothing is in the log but what was said to be."""
    checked(database)
    log = events(database)[:-1]
    asked = [event for event in log if event.WhichOneof("fact") != "reservation_expired"]
    ends = {
        event.position
        for event, following in zip(asked, [*asked[1:], None], strict=True)
        if following is None or following.command_position != event.command_position
    }
    assert ends <= seen.positions, "something was written that nobody was told of"
    verified = command_line("verify", "--database", str(database))
    assert (verified.returncode, verified.stdout) == (0, "")
