"""The pages of workers become one, and each sample says of which worker it is."""

import asyncio
from pathlib import Path

import pytest

from inventory_grpc.telemetry import merge as module
from inventory_grpc.telemetry.merge import fetch, merge
from inventory_grpc.telemetry.page import Page, Rendered

TEXT = "text/plain; version=0.0.4; charset=utf-8"
OPEN = "application/openmetrics-text; version=1.0.0; charset=utf-8"


def page(*lines: str, kind: str = TEXT) -> Rendered:
    return Rendered(kind, "\n".join([*lines, ""]).encode())


def test_a_heading_stands_once_before_the_samples_of_all_workers() -> None:
    one = page(
        "# HELP calls_total Calls.",
        "# TYPE calls_total counter",
        'calls_total{code="OK {1}"} 1.0',
        "# HELP up Whether.",
        "# TYPE up gauge",
        "up 1.0",
    )
    two = page("# HELP up Whether.", "# TYPE up gauge", "up 2.0")
    merged = merge({1: one, 2: two}, {1: 0, 2: 3})
    assert merged.content_type == TEXT
    assert merged.text.decode().splitlines() == [
        "# HELP calls_total Calls.",
        "# TYPE calls_total counter",
        'calls_total{worker="1",code="OK {1}"} 1.0',
        "# HELP up Whether.",
        "# TYPE up gauge",
        'up{worker="1"} 1.0',
        'up{worker="2"} 2.0',
        f"# HELP inventory_worker_up {module._UP}",
        "# TYPE inventory_worker_up gauge",
        'inventory_worker_up{worker="1"} 1',
        'inventory_worker_up{worker="2"} 1',
        f"# HELP inventory_worker_restarts_total {module._RESTARTS}",
        "# TYPE inventory_worker_restarts_total counter",
        'inventory_worker_restarts_total{worker="1"} 0',
        'inventory_worker_restarts_total{worker="2"} 3',
    ]


def test_openmetrics_ends_once_and_names_counters_without_their_ending() -> None:
    one = page("# TYPE up gauge", "up 1.0", "# EOF", kind=OPEN)
    merged = merge({1: one, 2: one}, {1: 0, 2: 0})
    lines = merged.text.decode().splitlines()
    assert merged.content_type == OPEN
    assert [line for line in lines if line == "# EOF"] == lines[-1:]
    assert "# TYPE inventory_worker_restarts counter" in lines


def test_a_worker_without_an_answer_is_down_and_its_samples_are_missing() -> None:
    lines = merge({1: None, 2: page("# TYPE up gauge", "up 1.0")}, {1: 0, 2: 0}).text.decode()
    assert 'inventory_worker_up{worker="1"} 0' in lines
    assert 'inventory_worker_up{worker="2"} 1' in lines
    assert 'up{worker="2"} 1.0' in lines
    assert '\nup{worker="1"}' not in lines


def test_without_any_answer_there_is_still_a_page() -> None:
    assert 'inventory_worker_up{worker="1"} 0' in merge({1: None}, {1: 9}).text.decode()


async def test_a_worker_is_asked_in_the_form_that_the_scraper_wants(tmp_path: Path) -> None:
    async def render(accept: str) -> Rendered:
        return Rendered(OPEN, accept.encode())

    socket = tmp_path / "1"
    async with await asyncio.start_unix_server(Page(render).accept, socket):
        assert await fetch(socket, "this, or that") == Rendered(OPEN, b"this, or that")


async def test_a_worker_that_is_gone_silent_or_in_trouble_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "FETCH_SECONDS", 0.1)
    assert await fetch(tmp_path / "none", "") is None

    async def never(_: str) -> Rendered:
        await asyncio.Event().wait()
        raise AssertionError

    silent = Page(never)
    async with await asyncio.start_unix_server(silent.accept, tmp_path / "silent"):
        assert await fetch(tmp_path / "silent", "") is None
        silent.close()

    async def troubled(_: str) -> Rendered:
        raise ValueError

    async with await asyncio.start_unix_server(Page(troubled).accept, tmp_path / "troubled"):
        assert await fetch(tmp_path / "troubled", "") is None
