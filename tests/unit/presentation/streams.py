"""Streams of commands, from the side of the caller."""

import asyncio
from typing import Any

from inventory_grpc_protos.v1 import commands_pb2 as pb
from tests.support.caller import SECONDS
from tests.support.engine import until
from tests.unit.presentation.conftest import Served

Stream = Any
"""A call, as the caller has it."""


def opened(service: Served) -> Stream:
    return service.commands.ExecuteStream(timeout=SECONDS)


async def told(stream: Stream) -> list[int]:
    """Return where the commands of the next message were recorded; all were."""
    response = await stream.read()
    assert isinstance(response, pb.ExecuteStreamResponse), response
    assert not [result for result in response.results if result.HasField("error")], response
    return [result.position for result in response.results]


async def left(service: Served) -> None:
    """Wait until nothing is left of any call."""
    await until(lambda: not service.controls.calls.running)
    await until(lambda: not [task for task in asyncio.all_tasks() if "stream" in task.get_name()])
