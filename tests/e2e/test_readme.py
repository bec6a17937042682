"""The calls in the READMEs give the answers that stand below them."""

import asyncio
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple

from inventory_grpc_protos.v1.commands_pb2 import RemoveStockRequest
from tests.support.caller import calling
from tests.support.node import ENVIRONMENT, need_node
from tests.support.server_process import ROOT, ServerProcess

README: Final = ROOT / "README.md"
PROTOS: Final = ROOT / "protos/README.md"
WRITTEN_ADDRESS: Final = "127.0.0.1:50051"

_BLOCK: Final = re.compile(
    r"^<!-- run(?:: (?P<with>\w+))? -->\n```\w+\n(?P<code>.*?)^```\n"
    r"(?:<!-- answer -->\n```\w*\n(?P<answer>.*?)^```\n)?",
    re.MULTILINE | re.DOTALL,
)
_OTHER_EVERY_TIME: Final = re.compile(r"_time$|^log_id$|^event_id$")


class Block(NamedTuple):
    """Something to run, and what should come of it."""

    interpreter: str
    code: str
    answer: str | None


def _blocks(file: Path) -> Iterator[Block]:
    for found in _BLOCK.finditer(file.read_text(encoding="utf-8")):
        yield Block(found["with"] or "sh", found["code"], found["answer"])


def _masked(value: object) -> object:
    """Return JSON in which what differs each time is the same."""
    if isinstance(value, Mapping):
        return {
            key: "..." if _OTHER_EVERY_TIME.search(key) else _masked(part)
            for key, part in value.items()
        }
    return [_masked(part) for part in value] if isinstance(value, list) else value


def _run(block: Block, address: str, database: Path) -> str:
    """Run *block* as it is written, but against *address* and *database*."""
    commands = {"sh": ["sh", "-eu", "-c"], "node": ["node", "-e"]}
    code = block.code.replace(WRITTEN_ADDRESS, address)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    ended = subprocess.run(
        [*commands[block.interpreter], code],
        capture_output=True,
        check=False,
        cwd=ROOT,
        env={**ENVIRONMENT, "PATH": path, "INVENTORY_DATABASE": str(database)},
        text=True,
        timeout=30,
    )
    assert ended.returncode == 0, f"{block.code}\n{ended.stderr}"
    return ended.stdout


async def _check(blocks: list[Block], server: ServerProcess, database: Path) -> None:
    address = await server.address()
    for block in blocks:
        told = await asyncio.to_thread(_run, block, address, database)
        if block.answer is None:
            assert told.strip(), "it says nothing"
        elif block.answer.lstrip().startswith("{"):
            assert _masked(json.loads(told)) == _masked(json.loads(block.answer)), block.code
        else:
            assert told == block.answer, block.code


async def test_the_commands_run_as_written(server: ServerProcess, path: Path) -> None:
    commands = [block for block in _blocks(README) if block.interpreter == "sh"]
    assert [block.answer for block in commands].count(None) < len(commands)
    await _check(commands, server, path)


async def test_the_calls_from_node_run_as_written_also_when_all_is_sold(
    server: ServerProcess, path: Path
) -> None:
    need_node()
    address = await server.address()
    blocks = list(_blocks(README))
    await _check(blocks, server, path)
    await _check(list(_blocks(PROTOS)), server, path)
    async with calling(address) as caller:
        await caller.commands.RemoveStock(
            RemoveStockRequest(product_id="kettle", store_id="lisbon", quantity=3)
        )
    [get_stock] = [block for block in blocks if block.interpreter == "node"]
    assert _run(get_stock, address, path) == "0 available as of 5\n"
