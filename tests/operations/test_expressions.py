"""Every expression of alerts and dashboards returns data of a real server under load."""

import asyncio
import json
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final

import grpc.aio
import pytest

from inventory_grpc_protos.v1 import queries_pb2
from inventory_grpc_protos.v1.commands_pb2_grpc import InventoryCommandsStub
from inventory_grpc_protos.v1.events_pb2 import SubscribeRequest
from inventory_grpc_protos.v1.events_pb2_grpc import InventoryEventsStub
from inventory_grpc_protos.v1.queries_pb2_grpc import InventoryQueriesStub
from tests.operations.relay.receivers import SECRET, Received, receiving
from tests.operations.relay.relays import Relay, page_port
from tests.support.caller import adding, line, reserving
from tests.support.certificates import Issued
from tests.support.documents import ROOT, text_of
from tests.support.keyring import Keyring, bearing
from tests.support.prometheus import RULES, prometheus
from tests.support.scraping import page_address
from tests.support.server_process import ENVIRONMENT, server_process

GRAFANA: Final = ROOT / "scripts/deploy/grafana"
COMPARED: Final = re.compile(r" (?:[<>]|==) [\d.* ]+$")


def _of_dashboards() -> Iterator[str]:
    for file in sorted(GRAFANA.glob("*.json")):
        for panel in json.loads(text_of(file))["panels"]:
            for target in panel.get("targets", ()):
                asked = re.sub(r"\$(job|instance|worker)\b", ".+", target["expr"])
                yield asked.replace("$__rate_interval", "20s")


def _of_rules() -> Iterator[str]:
    """Return the expressions of the rules, without what they are compared with."""
    for block in re.findall(r"expr: (.+(?:\n {10,}.+)*)", text_of(RULES)):
        whole = " ".join(line.strip() for line in block.removeprefix(">-").splitlines()).strip()
        for part in re.split(r" (?:and|or|unless) (?=[a-z:_]+[:({ ])", whole):
            yield COMPARED.sub("", part)


async def _load(channel: grpc.aio.Channel, token: str) -> None:
    """Do some of everything, also what is refused, without an end."""
    commands, queries = InventoryCommandsStub(channel), InventoryQueriesStub(channel)
    known = bearing(token)
    found = queries_pb2.GetStockRequest(product_id="kettle", store_id="lisbon")
    while True:
        await commands.AddStock(adding(5), metadata=known)
        await queries.GetStock(found, metadata=known)
        with suppress(grpc.aio.AioRpcError):
            await commands.ReserveStock(reserving(line(1_000_000)), metadata=known)
        await asyncio.sleep(0.01)


@asynccontextmanager
async def _relay(folder: Path, server: str, ca: Path, token: str) -> AsyncIterator[str]:
    """Run a relay to a receiver of webhooks; yield the address of its page."""
    token_file, secrets = folder / "relay.token", folder / "relay.secret"
    token_file.write_text(token)
    secrets.write_text(SECRET)
    options = {
        "--ca": ca,
        "--token-file": token_file,
        "--secret-file": secrets,
        "--place-file": folder / "place",
        "--metrics-listen": "127.0.0.1:0",
    }
    given = [str(it) for both in options.items() for it in both]
    with receiving(Received()) as url:
        relay = Relay(folder, server, url, *given)
        try:
            yield f"127.0.0.1:{await asyncio.to_thread(page_port, relay)}"
        finally:
            relay.kill()


@pytest.mark.timeout(180)
async def test_every_expression_of_rules_and_dashboards_returns_data(tmp_path: Path) -> None:
    chain, key = tmp_path / "chain.pem", tmp_path / "key.pem"
    issued = Issued.of(ends_in=90)
    issued.write(chain, key)
    token = (keyring := Keyring(tmp_path / "callers.toml")).add("ana", "admin")
    options = {
        "--listen": "localhost:0",
        "--metrics-listen": "127.0.0.1:0",
        "--tls-certificate": str(chain),
        "--tls-key": str(key),
        "--callers": str(keyring.path),
    }
    async with server_process(
        tmp_path / "inventory.db",
        tmp_path / "log",
        *[it for both in options.items() for it in both],
    ) as server:
        trusted = grpc.ssl_channel_credentials(issued.pem())
        channel = grpc.aio.secure_channel(await server.address(), trusted)
        loading = asyncio.create_task(_load(channel, token))
        following = InventoryEventsStub(channel).Subscribe(
            SubscribeRequest(), metadata=bearing(token)
        )
        await following.read()
        page = await page_address(server)
        async with (
            _relay(tmp_path, await server.address(), chain, token) as relay_page,
            prometheus(tmp_path, page, text_of(RULES), relay=relay_page) as one,
        ):
            expressions = [*_of_rules(), *_of_dashboards()]
            assert len(expressions) > 60
            for expression in expressions:
                await one.until(expression, bool)
        assert not loading.done()
        loading.cancel()
        await channel.close()


def test_the_dashboards_are_those_of_the_program() -> None:
    pytest.importorskip("grafana_foundation_sdk", reason="grafana_foundation_sdk is not installed")
    checked = subprocess.run(
        [sys.executable, "-m", "scripts.deploy.grafana.dashboards", "--check"],
        check=False,
        capture_output=True,
        cwd=ROOT,
        env=ENVIRONMENT,
        text=True,
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_dashboards_name_no_data_source_of_ours() -> None:
    for file in GRAFANA.glob("*.json"):
        assert set(re.findall(r'"uid": "(.*)"', text_of(file))) == {
            "${datasource}",
            f"inventory-{file.stem}",
        }
