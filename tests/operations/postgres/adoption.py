"""A log that goes on at another place: it is adopted, and its servers accept writes again."""

import asyncio
from pathlib import Path
from typing import Final

import grpc
from typer.testing import CliRunner

from inventory_grpc.cli import app
from tests.support.caller import Caller, adding, refusal

PATIENCE_SECONDS: Final = 30.0


def adopt(database: Path | str) -> None:
    done = CliRunner().invoke(app, ["adopt", str(database), "--yes"])
    assert done.exit_code == 0, done.stderr


async def insist(caller: Caller, request_id: str) -> int:
    """Send a delivery until it is recorded; return its position."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            try:
                answer = await caller.commands.AddStock(adding(1, request_id=request_id))
            except grpc.aio.AioRpcError as error:
                if refusal(error).reason != "WRITES_REFUSED":
                    raise
                await asyncio.sleep(0.1)
            else:
                return int(answer.position)
