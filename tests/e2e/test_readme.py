"""The commands in the documents run as written, and give the answers that stand below them."""

import asyncio
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from inventory_grpc.cli.calls.options import SERVER_VARIABLE
from inventory_grpc_protos.v1.admin_pb2 import GetServerInfoRequest
from inventory_grpc_protos.v1.commands_pb2 import RemoveStockRequest
from tests.support.answers import agree
from tests.support.caller import calling
from tests.support.clients import programs
from tests.support.documents import (
    API,
    CLIENTS,
    HANDBOOK,
    README,
    documents,
    name_of,
    rows_of,
    text_of,
)
from tests.support.node import ENVIRONMENT, need_node
from tests.support.server_process import ROOT, ServerProcess

WRITTEN_ADDRESS: Final = "127.0.0.1:50051"
FEWER: Final = "LINES, SIZE = 2_000"
"""Of the commands in bulk, so many are sent here."""

INTERPRETERS: Final = {
    "sh": ("sh", "-eu", "-c"),
    "python": (sys.executable, "-c"),
    "node": ("node", "-e"),
}

_BLOCK: Final = re.compile(
    r"^<!-- run(?P<last> last)?(?:: (?P<with>\w+))? -->\n```\w+\n(?P<code>.*?)^```\n"
    r"(?:<!-- (?P<kind>answer|refusal) -->\n```\w*\n(?P<answer>.*?)^```\n)?",
    re.MULTILINE | re.DOTALL,
)


class Block(NamedTuple):
    """Something to run, and what should come of it."""

    interpreter: str
    code: str
    answer: str | None
    refused: bool


def _blocks(document: Path) -> list[Block]:
    """Return what a document says to run, the last of it last."""
    found = sorted(_BLOCK.finditer(text_of(document)), key=lambda one: one["last"] is not None)
    return [
        Block(one["with"] or "sh", one["code"], one["answer"], one["kind"] == "refusal")
        for one in found
    ]


RUN: Final = [document for document in documents() if _blocks(document)]


def _run(block: Block, address: str, database: Path) -> str:
    """Run *block* as it is written, but against *address* and *database*."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    code = block.code.replace(WRITTEN_ADDRESS, address).replace("LINES, SIZE = 100_000", FEWER)
    named = {
        "INVENTORY_DATABASE": str(database),
        "INVENTORY_LISTEN": address,
        SERVER_VARIABLE: address,
    }
    ended = subprocess.run(
        [*INTERPRETERS[block.interpreter], code],
        capture_output=True,
        check=False,
        cwd=ROOT,
        env={**ENVIRONMENT, **named, "PATH": path},
        text=True,
        timeout=30,
    )
    assert (ended.returncode != 0) == block.refused, f"{block.code}\n{ended.stderr}"
    return ended.stderr if block.refused else ended.stdout


async def _check(blocks: list[Block], server: ServerProcess, database: Path) -> None:
    address = await server.address()
    for block in blocks:
        told = await asyncio.to_thread(_run, block, address, database)
        assert told.strip(), f"it says nothing: {block.code}"
        assert block.answer is None or agree(told, block.answer), f"{block.code}\n{told}"


@pytest.mark.parametrize("document", RUN, ids=name_of)
async def test_the_commands_run_as_written(
    document: Path, server: ServerProcess, path: Path
) -> None:
    await _check([one for one in _blocks(document) if one.interpreter != "node"], server, path)


async def test_the_call_from_node_runs_as_written(server: ServerProcess, path: Path) -> None:
    need_node("@grpc/grpc-js", "@grpc/proto-loader")
    blocks = [one for one in _blocks(README) if one.interpreter != "python"]
    await _check(blocks, server, path)
    async with calling(await server.address()) as caller:
        await caller.commands.RemoveStock(
            RemoveStockRequest(product_id="kettle", store_id="lisbon", quantity=3)
        )
    [get_stock] = [block for block in blocks if block.interpreter == "node"]
    assert _run(get_stock, await server.address(), path) == "0 available as of 4\n"


async def test_bulk_that_is_sent_again_is_not_done_again(server: ServerProcess, path: Path) -> None:
    [bulk] = [block for block in _blocks(CLIENTS) if "LINES, SIZE" in block.code]
    for _ in range(2):
        await _check([bulk], server, path)
    async with calling(await server.address()) as caller:
        info = await caller.admin.GetServerInfo(GetServerInfoRequest())
    assert info.head_position == 2_000


async def test_the_files_of_a_database_are_those_in_the_handbook(
    server: ServerProcess, path: Path
) -> None:
    delivery = _blocks(HANDBOOK)[0]
    await asyncio.to_thread(_run, delivery, await server.address(), path)
    rows = rows_of(text_of(HANDBOOK), "file", "content")
    named = {name.strip("` ") for row in rows for name in row[0].split(",")}
    assert named == {file.name for file in path.parent.glob("inventory.db*")}
    server.terminate()
    assert await server.ended() == 0
    stopped = {file.name for file in path.parent.glob("inventory.db*")}
    assert stopped == {path.name, f"{path.name}.mark", f"{path.name}.lock"}
    assert "**A stopped database** is three files: the database, `.mark`" in text_of(HANDBOOK)


def test_each_way_to_call_is_shown_with_an_answer_and_run() -> None:
    assert {README, API, CLIENTS, HANDBOOK} <= set(RUN)
    answered = {block.interpreter for block in _blocks(README) if block.answer}
    assert answered == set(INTERPRETERS)
    assert [block.refused for block in _blocks(README)].count(True) == 1


def test_no_call_is_shown_without_being_run() -> None:
    for document in documents():
        blocks = re.findall(r"^```\w+\n(.*?)^```", text_of(document), re.MULTILINE | re.DOTALL)
        called = [code for code in blocks if WRITTEN_ADDRESS in code and "make run" not in code]
        run = {block.code for block in _blocks(document)} | {*programs().values()}
        assert not set(called) - run, name_of(document)
