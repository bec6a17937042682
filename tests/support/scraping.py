"""A scraper of metrics, and what it reads."""

import asyncio
import re
import ssl
from collections.abc import Mapping
from typing import Final, NamedTuple

from prometheus_client.openmetrics.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from tests.support.server_process import ServerProcess

ACCEPT: Final = "application/openmetrics-text;version=1.0.0"
SECONDS: Final = 20.0

_PAGE: Final = re.compile(r"metrics are on https?://(\S+)/metrics")


class Answer(NamedTuple):
    """The answer of an HTTP server."""

    status: int
    headers: Mapping[str, str]
    text: str


class Family(NamedTuple):
    """One metric of a page."""

    kind: str
    unit: str
    help: str
    samples: list[Sample]

    def labels(self) -> set[str]:
        return {label for sample in self.samples for label in sample.labels}


async def get(
    address: str,
    path: str = "/metrics",
    *,
    method: str = "GET",
    context: ssl.SSLContext | None = None,
    **headers: str,
) -> Answer:
    """Ask for a page, as HTTP/1.1."""
    host, _, port = address.rpartition(":")
    async with asyncio.timeout(SECONDS):
        reader, writer = await asyncio.open_connection(host, int(port), ssl=context)
        lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {it}" for name, it in headers.items())]
        writer.write("\r\n".join([*lines, "", ""]).encode())
        raw = await reader.read()
        writer.close()
    head, _, body = raw.partition(b"\r\n\r\n")
    status, *rest = head.decode().split("\r\n")
    return Answer(int(status.split()[1]), dict(line.split(": ", 1) for line in rest), body.decode())


async def page_of(address: str) -> dict[str, Family]:
    """Return the metrics at *address* by name, which for counters ends in `_total`."""
    answer = await get(address, accept=ACCEPT)
    assert answer.status == 200, answer
    return read(answer.text)


def read(text: str) -> dict[str, Family]:
    suffixes = {"counter": "_total", "info": "_info"}
    return {
        family.name + suffixes.get(family.type, ""): Family(
            family.type, family.unit, family.documentation, family.samples
        )
        for family in text_string_to_metric_families(text)  # type: ignore[no-untyped-call]
    }


def value_of(page: Mapping[str, Family], name: str, **labels: str) -> float:
    """Return the sum of the samples that have these labels among theirs."""
    found = [
        sample.value
        for sample in page[name].samples
        if sample.name == name and labels.items() <= sample.labels.items()
    ]
    assert found, (name, labels)
    return sum(found)


async def page_address(server: ServerProcess) -> str:
    """Wait until a process serves its metrics; return where."""
    async with asyncio.timeout(SECONDS):
        while not (said := _PAGE.search(server.log_file.read_text("utf-8"))):
            assert server.process.poll() is None, server.log_file.read_text("utf-8")
            await asyncio.sleep(0.01)
    return said[1]
