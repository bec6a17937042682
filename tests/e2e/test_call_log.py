"""The call log has one line for each call, with no content of the request."""

import asyncio
import json
from typing import Any, Final

from grpc import StatusCode

from inventory_grpc.presentation.interceptors.logging import DELAY_SECONDS
from inventory_grpc_protos.v1 import events_pb2, queries_pb2
from tests.support.caller import Caller, adding, line, refused, reserving
from tests.support.server_process import ServerProcess
from tests.support.waiting import eventually

CONTENT: Final = "not-for-the-log"


async def _lines(server: ServerProcess, count: int) -> list[dict[str, Any]]:
    """Return the lines of calls, once there are as many."""

    def found() -> list[dict[str, Any]]:
        return [entry for entry in server.log() if entry["event"] == "call"]

    await eventually(lambda: len(found()) >= count)
    return found()


async def test_every_call_is_one_line_of_json_without_its_content(
    server: ServerProcess, remote: Caller
) -> None:
    await remote.commands.AddStock(adding(5, request_id="delivery-1", reason=CONTENT))
    await refused(remote.commands.ReserveStock(reserving(line(9), reference=CONTENT)))
    await refused(
        remote.queries.GetStock(queries_pb2.GetStockRequest(product_id=CONTENT, store_id="x"))
    )
    await remote.log()
    added, reserve, get, subscribe = await _lines(server, 4)
    assert added["method"] == "/inventory.v1.InventoryCommands/AddStock"
    assert (added["code"], added["request_id"]) == ("OK", "delivery-1")
    assert 0 < added["duration_ms"] < 10_000
    assert added["peer"].startswith("ipv4:127.0.0.1:")
    assert (reserve["code"], reserve["reason"]) == ("FAILED_PRECONDITION", "INSUFFICIENT_STOCK")
    assert (get["code"], get["reason"]) == ("NOT_FOUND", "STOCK_NOT_FOUND")
    assert (subscribe["code"], subscribe["position"]) == ("OK", 1)
    for entry in (added, reserve, get, subscribe):
        assert {"method", "code", "duration_ms", "peer", "request_id", "level"} <= entry.keys()
        assert CONTENT not in json.dumps(entry)


async def test_a_request_id_cannot_forge_a_line(server: ServerProcess, remote: Caller) -> None:
    answer = await refused(
        remote.commands.AddStock(adding(1, request_id='x"}\n{"event": "forged\u2028\x1b[31m'))
    )
    assert answer.code is StatusCode.INVALID_ARGUMENT
    await remote.commands.AddStock(adding(1))
    assert len(await _lines(server, 2)) == 2
    assert not [entry for entry in server.log() if entry["event"] == "forged"]


async def test_a_caller_who_leaves_is_in_the_log(server: ServerProcess, remote: Caller) -> None:
    following = remote.events.Subscribe(events_pb2.SubscribeRequest())
    await following.read()
    following.cancel()
    [left] = await _lines(server, 1)
    assert (left["code"], left["position"]) == ("CANCELLED", 0)


async def test_no_line_is_lost_when_the_server_stops(server: ServerProcess, remote: Caller) -> None:
    for _ in range(3):
        await remote.commands.AddStock(adding(1))
    server.terminate()
    assert await server.ended() == 0
    assert len(await _lines(server, 3)) == 3


async def test_a_kill_loses_only_lines_that_are_younger_than_the_delay(
    server: ServerProcess, remote: Caller
) -> None:
    await remote.commands.AddStock(adding(1, request_id="delivery-1"))
    await asyncio.sleep(20 * DELAY_SECONDS)
    server.kill()
    [line] = await _lines(server, 1)
    assert line["request_id"] == "delivery-1"
