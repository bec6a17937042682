"""Merges the pages of all workers: each sample gets the label `worker`.

Samples are not added up. A sum would fall whenever a worker is replaced, and its rate would jump.
"""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

from inventory_grpc.telemetry.page import MAX_HEADER, PATH, Rendered

FETCH_SECONDS: Final = 1.0
"""A worker that does not answer within this time is left out."""

MAX_BYTES: Final = 4 * 1024 * 1024

OPENMETRICS: Final = "application/openmetrics-text"
_TEXT: Final = "text/plain; version=0.0.4; charset=utf-8"
_END: Final = "# EOF"

_UP: Final = "1 if the worker has answered; if not, its other samples are missing."
_RESTARTS: Final = "Workers that were started in the place of one that had ended."


async def fetch(socket: Path, accept: str) -> Rendered | None:
    """Return the page that a worker serves on *socket*; None if it does not answer."""
    with suppress(OSError, TimeoutError, asyncio.IncompleteReadError, ValueError):
        async with asyncio.timeout(FETCH_SECONDS):
            reader, writer = await asyncio.open_unix_connection(socket, limit=MAX_HEADER)
            try:
                writer.write(f"GET {PATH} HTTP/1.1\r\naccept: {accept}\r\n\r\n".encode("latin-1"))
                return await _read(reader)
            finally:
                writer.transport.abort()
    return None


async def _read(reader: asyncio.StreamReader) -> Rendered | None:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    status, *lines = head.split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines if line)
    length = int(headers["content-length"])
    if " 200 " not in status or length > MAX_BYTES:
        return None
    return Rendered(headers["content-type"], await reader.readexactly(length))


def merge(pages: Mapping[int, Rendered | None], restarts: Mapping[int, int]) -> Rendered:
    """Return one page made of those of all workers, by number; None is a missing answer."""
    content_type = next((page.content_type for page in pages.values() if page), _TEXT)
    families: dict[str, tuple[list[str], list[str]]] = {}
    for worker, page in pages.items():
        if page:
            _take_in(page.text.decode(), worker, families)
    lines = [line for family in families.values() for part in family for line in part]
    is_open = content_type.startswith(OPENMETRICS)
    lines += _of_supervisor(pages, restarts, suffix="" if is_open else "_total")
    end = [_END] if is_open else []
    return Rendered(content_type, "\n".join([*lines, *end, ""]).encode())


def _take_in(text: str, worker: int, families: dict[str, tuple[list[str], list[str]]]) -> None:
    """Add the samples in *text* to their families; each family has its headings once."""
    label = f'worker="{worker}"'
    headings: list[str] = []
    samples: list[str] = []
    name, is_new = "", False
    for line in text.splitlines():
        if line.startswith("# ") and line != _END:
            _, _, of, _ = line.split(" ", 3)
            if of != name:
                name, is_new = of, of not in families
                headings, samples = families.setdefault(name, ([], []))
            if is_new:
                headings.append(line)
        elif line and line != _END:
            samples.append(_labelled(line, label))


def _labelled(sample: str, label: str) -> str:
    name, brace, rest = sample.partition("{")
    if brace and " " not in name:
        return f"{name}{{{label},{rest}"
    name, _, value = sample.partition(" ")
    return f"{name}{{{label}}} {value}"


def _of_supervisor(
    pages: Mapping[int, Rendered | None], restarts: Mapping[int, int], *, suffix: str
) -> list[str]:
    up, restarted = "inventory_worker_up", "inventory_worker_restarts"
    return [
        f"# HELP {up} {_UP}",
        f"# TYPE {up} gauge",
        *(f'{up}{{worker="{worker}"}} {int(page is not None)}' for worker, page in pages.items()),
        f"# HELP {restarted}{suffix} {_RESTARTS}",
        f"# TYPE {restarted}{suffix} counter",
        *(f'{restarted}_total{{worker="{worker}"}} {count}' for worker, count in restarts.items()),
    ]
