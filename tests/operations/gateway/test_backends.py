"""Two servers on one file stand behind the gateway; when one stops, no query is lost."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import httpx
import pytest

from tests.support.gateway import (
    SECONDS,
    Config,
    Gateway,
    configuration,
    connection_manager,
    gateway,
    routes,
    wait_until,
)
from tests.support.server_process import ServerProcess

QUERIES: Final = 8
"""Callers that ask at the same time."""
SOME: Final = 25
"""Answers that each of them waits for before the backend stops, and after it."""
URL: Final = "/v1/products/kettle/stocks/lisbon"


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[list[ServerProcess]]:
    begun: list[ServerProcess] = []
    try:
        for name in ("first", "second"):
            begun.append(ServerProcess.begin(tmp_path / "inventory.db", tmp_path / f"{name}.log"))
            asyncio.run(begun[-1].address())
        yield begun
    finally:
        for server in begun:
            server.kill()


@pytest.fixture
def both(tmp_path: Path, servers: list[ServerProcess]) -> Iterator[Gateway]:
    """Run Envoy before both, with a stock to ask for."""
    addresses = [asyncio.run(server.address()) for server in servers]
    with gateway(tmp_path, addresses) as started:
        with started.http() as http:
            assert http.post(f"{URL}:add", json={"quantity": 5}).is_success
        yield started


@asynccontextmanager
async def _asking(envoy: Gateway) -> AsyncIterator[list[int]]:
    """Ask all the time, from many callers; the list has the status of every answer."""
    statuses: list[int] = []
    stop = asyncio.Event()

    async def ask() -> None:
        async with httpx.AsyncClient(base_url=envoy.url, timeout=SECONDS, trust_env=False) as http:
            while not stop.is_set():
                statuses.append((await http.get(URL)).status_code)

    async with asyncio.TaskGroup() as group:
        for _ in range(QUERIES):
            group.create_task(ask())
        yield statuses
        stop.set()


async def _more(statuses: list[int]) -> None:
    enough = len(statuses) + QUERIES * SOME
    async with asyncio.timeout(SECONDS):
        while len(statuses) < enough:  # noqa: ASYNC110  the callers tell nobody
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("how", ["terminate", "kill"])
async def test_no_query_is_lost_when_one_of_two_stops(
    both: Gateway, servers: list[ServerProcess], how: str
) -> None:
    async with _asking(both) as statuses:
        await _more(statuses)
        getattr(servers[0], how)()
        await servers[0].ended()
        await _more(statuses)
        await asyncio.to_thread(both.wait_for_backends, 1)
        await _more(statuses)
    lost = [line for line in both.logged() if line["http_status"] != 200]
    assert lost == []
    assert set(statuses) == {200}
    asked = {line["backend"] for line in both.logged() if line["path"] == URL}
    assert len(asked) == 2, "each of them had some"


def test_the_gateway_is_healthy_as_long_as_one_is(
    both: Gateway, servers: list[ServerProcess]
) -> None:
    with both.http() as http:
        servers[0].kill()
        both.wait_for_backends(1)
        assert http.get("/healthz").status_code == 200
        assert http.post(f"{URL}:add", json={"quantity": 5}).status_code == 200
        servers[1].kill()
        both.wait_for_backends(0)
        assert http.get("/healthz").status_code == 503
        answer = http.get(URL)
        assert (answer.status_code, answer.json()["code"]) == (503, 14)


def _one_look(config: Config) -> None:
    """Look for the health of the servers once, so that one that is gone counts as healthy."""
    [check] = config["static_resources"]["clusters"][0]["health_checks"]
    check.update(interval="3600s", no_traffic_interval="3600s")


def test_no_command_is_lost_that_could_not_be_sent(
    tmp_path: Path, servers: list[ServerProcess]
) -> None:
    addresses = [asyncio.run(server.address()) for server in servers]
    with gateway(tmp_path, addresses, _one_look) as started, started.http() as http:
        assert all(http.post(f"{URL}:add", json={"quantity": 5}).is_success for _ in range(4))
        servers[0].kill()
        wait_until(lambda: not started.connections_to(addresses[0]))
        for _ in range(10):
            assert http.post(f"{URL}:add", json={"quantity": 5}).status_code == 200
        assert started.healthy_backends() == 2, "the gateway did not know"


def test_only_queries_are_sent_again_by_the_gateway() -> None:
    manager = connection_manager(configuration())
    [host] = manager["route_config"]["virtual_hosts"]
    assert host["retry_policy"]["retry_on"] == "connect-failure", "which was not sent at all"
    retried = {
        "".join(route["match"].values())
        for route in routes(configuration())
        if "retry_policy" in route["route"]
    }
    assert retried == {
        "/inventory.v1.InventoryQueries/",
        "/inventory.v1.InventoryEvents/ListEvents",
        "/inventory.v1.InventoryAdmin/GetServerInfo",
    }
