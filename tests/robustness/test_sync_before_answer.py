"""No byte of an answer or an event leaves before the disk has confirmed the write.

The kernel is the witness: `strace` notes every write, sync and send of a server in their order.
"""

import asyncio
import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from inventory_grpc_protos.v1.events_pb2 import SubscribeRequest
from tests.support.caller import SECONDS, Caller, adding, calling
from tests.support.server_process import ServerProcess
from tests.support.waiting import eventually

CALLERS: Final = 4
COMMANDS: Final = 15
"""Of each of them."""

_PRODUCT: Final = re.compile(r"kettle-\d\d-\d\d")
_CALL: Final = re.compile(r"^(\d+) +(\w+)\((.*)$")
_RESUMED: Final = re.compile(r"^(\d+) +<\.\.\. (\w+) resumed>")


def _why_not() -> str:
    if shutil.which("strace") is None:
        return "there is no strace here"
    tried = subprocess.run(["strace", "true"], capture_output=True, check=False, text=True)
    return f"strace may not trace: {tried.stderr.strip()[-200:]}" if tried.returncode else ""


pytestmark = pytest.mark.skipif(bool(_why_not()), reason=_why_not())


class Watched(NamedTuple):
    """One thing that a server had the kernel do: what, for which products, at which line."""

    what: str
    products: frozenset[str]
    line: int


def _watched(trace: Iterable[str]) -> Iterator[Watched]:
    """Yield writes to the WAL and sends when they begin, syncs of the WAL when they are over."""
    syncing: set[str] = set()
    for number, line in enumerate(trace):
        if resumed := _RESUMED.match(line):
            if resumed[2] == "fdatasync" and resumed[1] in syncing and line.endswith("= 0"):
                syncing.remove(resumed[1])
                yield Watched("synced", frozenset(), number)
        elif call := _CALL.match(line):
            thread, name, rest = call.groups()
            products = frozenset(_PRODUCT.findall(rest))
            if name == "sendmsg":
                yield Watched("sent", products, number)
            elif name == "pwrite64" and "-wal>" in rest:
                yield Watched("written", products, number)
            elif name == "fdatasync" and "-wal>" in rest:
                if rest.endswith("= 0"):
                    yield Watched("synced", frozenset(), number)
                else:
                    syncing.add(thread)


def sent_too_early(trace: Iterable[str]) -> dict[str, bool]:
    """Return of each product that was sent whether no sync lay between its commit and that."""
    written: dict[str, int] = {}
    early: dict[str, bool] = {}
    last_sync = -1
    for what, products, line in _watched(trace):
        if what == "synced":
            last_sync = line
        for product in products:
            if what == "written":
                written.setdefault(product, line)
            elif product not in early:
                early[product] = last_sync < written.get(product, line)
    return early


async def _buy(caller: Caller, who: int) -> None:
    for number in range(COMMANDS):
        request = adding(1, f"kettle-{who:02}-{number:02}", request_id=f"{who}-{number}")
        await caller.commands.AddStock(request, timeout=SECONDS)


async def _follow(caller: Caller, seen: list[str], following: asyncio.Event) -> None:
    async for message in caller.events.Subscribe(SubscribeRequest(), timeout=SECONDS):
        following.set()
        seen += [event.product_id for event in message.events]
        if len(seen) == CALLERS * COMMANDS:
            return


async def _traced(path: Path, *options: str) -> dict[str, bool]:
    """Have a server answer some commands; return what of it was sent too early."""
    trace = path.with_name("trace")
    # as a daemon, strace stays out of the way of signals
    calls = "trace=pwrite64,fdatasync,sendmsg"
    strace = ["strace", "-D", "-f", "-q", "-y", "-s", "6000", "-e", calls, "-o", str(trace)]
    server = ServerProcess.begin(path, path.with_suffix(".log"), *options, under=strace)
    try:
        address = await server.address()
        async with calling(address) as one, calling(address) as two, calling(address) as three:
            seen, following = list[str](), asyncio.Event()
            watching = asyncio.create_task(_follow(three, seen, following))
            await following.wait()
            await asyncio.gather(*(_buy((one, two)[who % 2], who) for who in range(CALLERS)))
            await watching
        server.terminate()
        assert await server.ended() == 0
    finally:
        server.kill()
    ended = f"{server.process.pid} +++ exited"  # its last word, of which it may be late
    await eventually(lambda: ended in re.sub(" +", " ", trace.read_text("utf-8", "replace")))
    early = sent_too_early(trace.read_text("utf-8", "replace").splitlines())
    assert len(early) == CALLERS * COMMANDS, "not every answer was seen on its way"
    return early


async def test_no_byte_of_an_answer_or_event_leaves_before_its_commit_is_synced(
    path: Path,
) -> None:
    early = await _traced(path)
    assert not any(early.values()), [product for product, is_early in early.items() if is_early]


async def test_with_relaxed_durability_answers_leave_before_the_sync(path: Path) -> None:
    early = await _traced(path, "--durability", "relaxed")
    assert sum(early.values()) > len(early) / 2, "so this test would have noticed nothing"


def test_an_answer_between_the_write_and_the_end_of_the_sync_is_early() -> None:
    trace = [
        '7 pwrite64(11</d/i.db-wal>, "..kettle-00-00..", 4096, 0) = 4096',
        "7 fdatasync(11</d/i.db-wal> <unfinished ...>",
        '6 sendmsg(19<socket:[1]>, {msg_iov=[{iov_base="..kettle-00-00.."}]}, 0) = 95',
        "7 <... fdatasync resumed>)               = 0",
        '7 pwrite64(11</d/i.db-wal>, "..kettle-00-01..kettle-00-00", 4096, 9) = 4096',
        "7 fdatasync(11</d/i.db-wal>) = 0",
        '6 sendmsg(19<socket:[1]>, {msg_iov=[{iov_base="..kettle-00-01.."}]}, 0) = 95',
    ]
    assert sent_too_early(trace) == {"kettle-00-00": True, "kettle-00-01": False}
