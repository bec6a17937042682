"""The default limits are those that the documents promise."""

import asyncio
from typing import Any

import pytest

from inventory_grpc.application.failures import Overloaded
from inventory_grpc.presentation.call import Call
from inventory_grpc.presentation.interceptors.admission import Admit, Limits
from inventory_grpc.presentation.server import COMMANDS, EXECUTE_STREAM, SUBSCRIBE
from inventory_grpc.presentation.stalled_readers import ReaderStalled, SendInTime
from tests.support.engine import settle
from tests.support.virtual_time import virtual_time
from tests.unit.presentation.asking import called


class StalledContext:
    """The context of a call whose caller takes nothing."""

    async def send_initial_metadata(self, _metadata: object) -> None:
        """Send them: flow control does not hold up headers."""

    async def write(self, _message: object) -> None:
        await asyncio.Event().wait()


async def test_a_stalled_reader_is_disconnected_after_60_seconds() -> None:
    async def follow(_request: object, _context: object) -> Any:  # noqa: ANN401  a method of any kind
        yield b"news"

    send: Any = SendInTime().around(SUBSCRIBE, follow, streams=True)
    stalled: Any = StalledContext()
    loop = asyncio.get_running_loop()
    with virtual_time(loop):
        begun = loop.time()
        with pytest.raises(ReaderStalled):
            await send(b"", Call(stalled))
        assert 59.9 < loop.time() - begun < 60.1


@pytest.mark.parametrize("method", [f"/{COMMANDS}/ExecuteBatch", EXECUTE_STREAM])
async def test_50_bulk_calls_are_admitted_and_no_more(method: str) -> None:
    let_in = 0

    async def stay(_request: object, _context: object) -> object:
        nonlocal let_in
        let_in += 1
        return await asyncio.Event().wait()

    call: Any = Admit(Limits()).around(method, stay, streams=method == EXECUTE_STREAM)
    calls = [asyncio.ensure_future(call(b"", called())) for _ in range(51)]
    await settle()
    refused = [one.exception() for one in calls if one.done()]
    for one in calls:
        one.cancel()
    await asyncio.wait(calls)
    assert let_in == 50
    assert [type(refusal) for refusal in refused] == [Overloaded]
