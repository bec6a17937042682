"""The README's calls give the answers that stand below them."""

import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from tests.support.server_process import ROOT, ServerProcess

README: Final = ROOT / "README.md"
WRITTEN_ADDRESS: Final = "127.0.0.1:50051"
HAS_NODE: Final = shutil.which("node") is not None
NODE_PACKAGES: Final = ("@grpc/grpc-js", "@grpc/proto-loader")
NODE_ENVIRONMENT: Final = {**os.environ, "NODE_PATH": str(ROOT / ".venv/node/node_modules")}
"""Finds what `make tools` has installed."""

_BLOCK: Final = re.compile(
    r"^<!-- run(?:: (?P<with>\w+))? -->\n```\w+\n(?P<code>.*?)^```\n"
    r"(?:<!-- answer -->\n```\w+\n(?P<answer>.*?)^```\n)?",
    re.MULTILINE | re.DOTALL,
)
_OTHER_EVERY_TIME: Final = re.compile(r"_time$|^log_id$|^event_id$")


class Block(NamedTuple):
    """Something to run, and what should come of it."""

    interpreter: str
    code: str
    answer: str | None


def _blocks() -> Iterator[Block]:
    for found in _BLOCK.finditer(README.read_text(encoding="utf-8")):
        yield Block(found["with"] or "sh", found["code"], found["answer"])


def _masked(value: object) -> object:
    """Return JSON in which what differs each time is the same."""
    if isinstance(value, Mapping):
        return {
            key: "..." if _OTHER_EVERY_TIME.search(key) else _masked(part)
            for key, part in value.items()
        }
    return [_masked(part) for part in value] if isinstance(value, list) else value


def _run(block: Block, address: str) -> str:
    """Run *block* as it is written, but against *address*."""
    commands = {"sh": ["sh", "-eu", "-c"], "node": ["node", "-e"]}
    code = block.code.replace(WRITTEN_ADDRESS, address)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    ended = subprocess.run(
        [*commands[block.interpreter], code],
        capture_output=True,
        check=False,
        cwd=ROOT,
        env={**NODE_ENVIRONMENT, "PATH": path},
        text=True,
        timeout=30,
    )
    assert ended.returncode == 0, f"{block.code}\n{ended.stderr}"
    return ended.stdout


async def _check(blocks: list[Block], address: str) -> None:
    for block in blocks:
        told = await asyncio.to_thread(_run, block, address)
        if block.answer is None:
            assert told.strip(), "it says nothing"
        elif block.answer.lstrip().startswith("{"):
            assert _masked(json.loads(told)) == _masked(json.loads(block.answer)), block.code
        else:
            assert told == block.answer, block.code


def _has_node_packages() -> bool:
    resolve = ";".join(f"require.resolve('{package}')" for package in NODE_PACKAGES)
    return (
        HAS_NODE
        and not subprocess.run(
            ["node", "-e", resolve],
            cwd=ROOT,
            capture_output=True,
            check=False,
            env=NODE_ENVIRONMENT,
        ).returncode
    )


async def test_the_commands_run_as_written(server: ServerProcess) -> None:
    commands = [block for block in _blocks() if block.interpreter == "sh"]
    assert [block.answer for block in commands].count(None) < len(commands)
    await _check(commands, await server.address())


@pytest.mark.skipif(not HAS_NODE, reason="node is not installed")
async def test_the_call_from_node_runs_as_written(server: ServerProcess) -> None:
    if not _has_node_packages():
        pytest.skip(f"npm packages are missing ({' '.join(NODE_PACKAGES)}): run make tools")
    await _check(list(_blocks()), await server.address())
