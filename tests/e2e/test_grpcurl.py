"""A user who has only grpcurl can discover and call everything."""

import asyncio
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.samples import METHODS

_HERE = Path(sys.executable).parent
GRPCURL = shutil.which("grpcurl", path=f"{_HERE}") or shutil.which("grpcurl")

pytestmark = pytest.mark.skipif(
    GRPCURL is None, reason="grpcurl is missing: it comes with the extra `dev`"
)


async def _grpcurl(*arguments: str) -> tuple[int, str, str]:
    assert GRPCURL
    process = await asyncio.create_subprocess_exec(
        GRPCURL,
        "-plaintext",
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


async def _call(address: str, method: str, request: dict[str, Any]) -> dict[str, Any]:
    code, out, err = await _grpcurl(
        "-d", json.dumps(request), address, f"inventory.v1.Inventory{method}"
    )
    assert code == 0, err
    answer: dict[str, Any] = json.loads(out)
    return answer


KETTLES = {"product_id": "kettle", "store_id": "lisbon"}


async def test_services_are_listed_and_described_with_their_promises(address: str) -> None:
    _, services, _ = await _grpcurl(address, "list")
    assert set(services.split()) == {
        "grpc.health.v1.Health",
        "inventory.v1.InventoryAdmin",
        "inventory.v1.InventoryCommands",
        "inventory.v1.InventoryEvents",
        "inventory.v1.InventoryQueries",
        "grpc.reflection.v1alpha.ServerReflection",
    }
    _, rpcs, _ = await _grpcurl(address, "list", "inventory.v1.InventoryCommands")
    assert {*rpcs.split()} == {
        method.full_name
        for method in METHODS.values()
        if method.containing_service.name == "InventoryCommands"
    }
    _, described, _ = await _grpcurl(address, "describe", "inventory.v1.ReserveStockRequest")
    assert "repeated .inventory.v1.Line lines = 1;" in described


async def test_commands_and_queries(address: str) -> None:
    added = await _call(address, "Commands/AddStock", {**KETTLES, "quantity": 5})
    assert (added["position"], added["stock"]["on_hand"]) == ("1", "5")
    await _call(
        address,
        "Commands/ReserveStock",
        {"customer_id": "ana", "lines": [{**KETTLES, "quantity": 2}], "ttl": "60s"},
    )
    stock = await _call(address, "Queries/GetStock", KETTLES)
    assert (stock["stock"]["available"], stock["as_of_position"]) == ("3", "2")


async def test_a_refusal_is_told_with_its_code(address: str) -> None:
    request = json.dumps({**KETTLES, "quantity": 5})
    code, _, err = await _grpcurl(
        "-d", request, address, "inventory.v1.InventoryCommands/RemoveStock"
    )
    assert code == 64 + 9
    assert "FailedPrecondition" in err
    assert "kettle in lisbon: 5 requested, 0 available" in err


async def test_the_event_stream(address: str) -> None:
    for units in (1, 2, 3):
        await _call(address, "Commands/AddStock", {**KETTLES, "quantity": units})
    followed = await _call(address, "Events/Subscribe", {"stop_at_head": True, "from_now": True})
    assert (followed["position"], followed["caught_up"]) == ("3", True)
    code, out, _ = await _grpcurl(
        "-d",
        json.dumps({"stop_at_head": True, "filter": {"event_types": ["StockAdded"]}}),
        address,
        "inventory.v1.InventoryEvents/Subscribe",
    )
    assert code == 0
    assert [part["quantity"] for part in _facts(out, "stock_added")] == ["1", "2", "3"]


def _facts(stream: str, name: str) -> list[dict[str, Any]]:
    """Return the facts in a row of JSON messages."""
    decoder, found = json.JSONDecoder(), list[dict[str, Any]]()
    while stream := stream.strip():
        message, end = decoder.raw_decode(stream)
        found += [event[name] for event in message.get("events", [])]
        stream = stream[end:]
    return found


async def test_health(address: str) -> None:
    code, out, err = await _grpcurl(
        "-d",
        '{"service": "inventory.v1.InventoryCommands"}',
        address,
        "grpc.health.v1.Health/Check",
    )
    assert (code, json.loads(out)) == (0, {"status": "SERVING"}), err
