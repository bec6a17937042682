"""The events of a page: from the newest ones, or from pages of the log; each once, in order."""

import asyncio
import json
from collections.abc import AsyncIterator, MutableMapping
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from inventory_grpc.cli import app
from inventory_grpc.cli import console as command
from inventory_grpc.client import InventoryClient
from inventory_grpc.console import feed, streams
from inventory_grpc.console.app import Console
from inventory_grpc.console.feed import Feed
from inventory_grpc.console.options import Options
from inventory_grpc.testing import InventoryServer
from inventory_grpc_protos.v1.commands_pb2 import AddStockRequest
from tests.support.certificates import Issued
from tests.support.console import ConsoleProcess
from tests.support.waiting import eventually


@pytest.fixture
async def client(server: InventoryServer) -> AsyncIterator[InventoryClient]:
    async with InventoryClient(server.address) as calling:
        yield calling


async def add(client: InventoryClient, count: int) -> int:
    """Record *count* events; return the last position."""
    requests = [
        AddStockRequest(product_id="kettle", store_id="lisbon", quantity=1) for _ in range(count)
    ]
    results = await client.execute_batch(requests)
    return max(getattr(result, "position", 0) for result in results)


async def read(reading: Feed, after: int | None, up_to: int) -> list[dict[str, Any]]:
    """Return the messages of a page until it has the event at *up_to*."""
    messages = []
    async with aclosing(reading.follow(after, "")) as following:
        async for message in following:
            found = parsed(message)
            messages.append(found)
            if found["id"] is not None and found["id"] >= up_to:
                return messages
    raise AssertionError("it has ended")


def parsed(message: bytes) -> dict[str, Any]:
    fields = dict(line.split(": ", 1) for line in message.decode().splitlines() if line)
    number = fields.get("id")
    return {
        "id": int(number) if number else None,
        "kind": fields["event"],
        **json.loads(fields["data"]),
    }


def events_of(messages: list[dict[str, Any]]) -> list[int]:
    return [event["position"] for one in messages for event in one.get("events", [])]


@pytest.mark.parametrize("recent", [10, 1_000])
async def test_a_page_that_is_behind_gets_each_event_once_in_order(
    client: InventoryClient, monkeypatch: pytest.MonkeyPatch, recent: int
) -> None:
    monkeypatch.setattr(feed, "MAX_RECENT", recent)
    monkeypatch.setattr(feed, "MAX_MESSAGE", 7)
    begin = await add(client, 40)
    reading = Feed(client)
    open_page = asyncio.create_task(read(reading, None, begin + 60))
    await eventually(lambda: bool(reading._log_id))
    last = await add(client, 60)
    for behind in (0, 1, 6, 7, 8, 15, 59, 60, 75, 100):
        messages = await read(reading, last - behind, last)
        assert events_of(messages) == [*range(last - behind + 1, last + 1)]
        assert max(len(one.get("events", [])) for one in messages) <= 7
    assert events_of(await open_page) == [*range(begin + 1, last + 1)]
    assert len(reading._recent) <= recent


async def test_a_page_that_has_missed_too_much_is_told_so(
    client: InventoryClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed, "MAX_BEHIND", 20)
    monkeypatch.setattr(feed, "MAX_RECENT", 5)
    last = await add(client, 30)
    messages = await read(Feed(client), last - 21, last)
    first, *others = [one for one in messages if one["kind"] != "beat"]
    assert first["kind"] == "missed"
    assert (first["after"], first["up_to"]) == (last - 21, last - 5)
    assert events_of(others) == [*range(last - 4, last + 1)]


async def test_a_position_of_another_log_begins_anew(client: InventoryClient) -> None:
    last = await add(client, 1)
    for after, log_id in ((last + 1, ""), (last, "another")):
        async with aclosing(Feed(client).follow(after, log_id)) as following:
            kinds = [parsed(message)["kind"] async for message in following]
        assert kinds[-1] == "reset"


async def test_a_server_that_is_not_trusted_is_not_asked_without_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Issued.of().write(tmp_path / "chain.pem", tmp_path / "key.pem")
    files = {"tls_certificate": tmp_path / "chain.pem", "tls_key": tmp_path / "key.pem"}
    asked: list[object] = []
    follow = InventoryClient.subscribe

    def counted(client: InventoryClient, **start: Any) -> Any:  # noqa: ANN401  those of `subscribe`
        asked.append(start)
        return follow(client, **start)

    monkeypatch.setattr(InventoryClient, "subscribe", counted)
    monkeypatch.setattr(feed, "RETRY_SECONDS", 60)
    with InventoryServer(**files) as server:
        address = server.address.replace("127.0.0.1", "localhost")
        distrustful = InventoryClient(address, ca=Issued.of().pem())
        async with (
            asyncio.timeout(20),
            distrustful,
            aclosing(Feed(distrustful).follow(None, "")) as told,
        ):
            async for message in told:
                if parsed(message)["trouble"]:
                    break
            await asyncio.sleep(0.3)
            assert len(asked) == 1


async def test_nothing_is_read_while_no_page_is_open(client: InventoryClient) -> None:
    reading = Feed(client)
    last = await add(client, 1)
    await read(reading, last, last)
    assert reading._reading is None


async def test_a_page_that_reads_nothing_is_disconnected(
    server: InventoryServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "STALLED_SECONDS", 0.05)
    console = Console(Options("127.0.0.1", 0, is_loopback=True, server=server.address))

    async def receive() -> MutableMapping[str, Any]:
        return await asyncio.Future()

    async def send(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.body":
            await asyncio.Future()

    scope = {
        "type": "http",
        "method": "GET",
        "path": "/events",
        "query_string": b"",
        "headers": [(b"host", b"127.0.0.1")],
        "scheme": "http",
    }
    async with asyncio.timeout(20):
        await console.app()(scope, receive, send)
    assert len(console.streams) == 0
    await console.viewers.close()


def test_without_its_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "find_spec", lambda _: None)
    asked = CliRunner().invoke(app, ["console"])
    assert asked.exit_code == 1
    assert "pip install 'inventory-grpc[console]'" in " ".join(asked.stderr.split())


def test_it_ends_without_an_error_when_it_is_stopped(
    server: InventoryServer, tmp_path: Path
) -> None:
    console = ConsoleProcess.start(server.address, tmp_path / "console.log")
    console.url()
    assert console.stop() == 0
