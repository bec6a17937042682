"""Real Prometheus and Alertmanager, with a configuration of the test's."""

import asyncio
import json
import re
import socket
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Final

import httpx

from tests.support.documents import ROOT
from tests.support.tools import find_tool

RULES: Final = ROOT / "scripts/deploy/prometheus/alerts.yml"
SCRAPE: Final = "250ms"
PATIENT: Final = "2s"
"""The interval where one scrape that takes too long would end an alert: its limit is as long."""

EVALUATION: Final = "250ms"
SECONDS: Final = 60.0

_DURATION: Final = re.compile(r"(?<=[\[ ])(\d+)([smh])(?=[\]\n])")
_SHORTER: Final = {"h": "m", "m": "s"}


def free_port() -> int:
    """Return a port of this machine that nobody uses now."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
    return port


def hastened(rules: str) -> str:
    """Return *rules* with seconds for minutes, and minutes for hours."""

    def shorter(found: re.Match[str]) -> str:
        number, unit = int(found[1]), found[2]
        # a rate needs two samples
        return f"{number * 1_000 // 60}ms" if unit == "s" else f"{number}{_SHORTER[unit]}"

    return _DURATION.sub(shorter, rules)


@contextmanager
def running(*command: str, log: Path) -> Iterator[None]:
    """Run a program; end it on leaving."""
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output)
    try:
        yield
    finally:
        process.kill()
        process.wait()


class Prometheus:
    """One that runs."""

    def __init__(self, client: httpx.AsyncClient, folder: Path) -> None:
        self._folder = folder
        self._client = client

    async def get(self, path: str, **asked: str) -> Any:  # noqa: ANN401  as JSON
        """Return the data of an answer of its API."""
        answer = (await self._client.get(f"/api/v1/{path}", params=asked)).json()
        assert answer["status"] == "success", (asked, answer)
        return answer["data"]

    async def values(self, expression: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (await self.get("query", query=expression))["result"]
        return found

    async def until(self, expression: str, holds: Callable[[list[dict[str, Any]]], bool]) -> None:
        """Wait until the values of *expression* are so."""
        found: list[dict[str, Any]] = []
        try:
            async with asyncio.timeout(SECONDS):
                while not holds(found):
                    await asyncio.sleep(0.1)
                    found = await self.values(expression)
        except TimeoutError:
            log = (self._folder / "prometheus.log").read_text("utf-8")[-2_000:]
            raise AssertionError(f"{expression}: {found}\n{log}") from None


@asynccontextmanager
async def prometheus(
    folder: Path,
    target: str,
    rules: str,
    alertmanager: int | None = None,
    *,
    scrape: str = SCRAPE,
    relay: str | None = None,
) -> AsyncIterator[Prometheus]:
    """Run Prometheus, which scrapes *target* several times a second, or as *scrape* says.

    The page of a relay is scraped as the job that the rules name.
    """
    port = free_port()
    jobs = {"inventory": target} | ({"inventory-relay": relay} if relay else {})
    (folder / "alerts.yml").write_text(rules, "utf-8")
    managers = [{"static_configs": [{"targets": [f"127.0.0.1:{alertmanager}"]}]}]
    settings = {
        "global": {
            "scrape_interval": scrape,
            "scrape_timeout": scrape,
            "evaluation_interval": EVALUATION,
        },
        "rule_files": [str(folder / "alerts.yml")],
        "alerting": {"alertmanagers": managers if alertmanager else []},
        "scrape_configs": [
            {"job_name": job, "static_configs": [{"targets": [page]}]} for job, page in jobs.items()
        ],
    }
    (folder / "prometheus.yml").write_text(json.dumps(settings), "utf-8")
    with running(
        find_tool("prometheus"),
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        log=folder / "prometheus.log",
    ):
        base = f"http://127.0.0.1:{port}"
        await answering(f"{base}/-/ready")
        async with httpx.AsyncClient(base_url=base, timeout=SECONDS) as client:
            one = Prometheus(client, folder)
            await one.until(
                "up", lambda found: [each["value"][1] for each in found] == ["1"] * len(jobs)
            )
            yield one


@asynccontextmanager
async def alertmanager(folder: Path, webhook: str) -> AsyncIterator[int]:
    """Run Alertmanager, which sends at once; yield its port."""
    port = free_port()
    settings = {
        "route": {
            "receiver": "operators",
            "group_by": ["alertname"],
            "group_wait": "0s",
            "group_interval": "1s",
            "repeat_interval": "1h",
        },
        "receivers": [{"name": "operators", "webhook_configs": [{"url": webhook}]}],
    }
    (folder / "alertmanager.yml").write_text(json.dumps(settings), "utf-8")
    with running(
        find_tool("prometheus-alertmanager"),
        f"--config.file={folder / 'alertmanager.yml'}",
        f"--storage.path={folder / 'alertmanager'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--cluster.listen-address=",
        log=folder / "alertmanager.log",
    ):
        await answering(f"http://127.0.0.1:{port}/-/ready")
        yield port


async def answering(url: str) -> None:
    """Wait until a program serves."""
    async with httpx.AsyncClient() as client, asyncio.timeout(SECONDS):
        while True:
            try:
                if (await client.get(url)).is_success:
                    return
            except httpx.TransportError:
                pass
            await asyncio.sleep(0.05)
