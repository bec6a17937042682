"""The page goes on where it was after any restart, and takes no more memory for what has passed."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

import psutil
import pytest

from inventory_grpc.client import SyncInventoryClient
from inventory_grpc.testing import InventoryServer
from inventory_grpc_protos.v1.commands_pb2 import AddStockRequest
from tests.support.console import (
    ConsoleProcess,
    console_process,
    opened,
    positions,
    resident_bytes,
)
from tests.support.effort import DEEP, campaign, runs

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Route

MAX_GROWTH: Final = 1.1
"""The memory of the page and of the console, as a share of that at a tenth of the events."""

BATCH: Final = 500

SOME_SECONDS: Final = 0.5
"""Enough for an event to reach the page, on most machines."""


def add(shop: SyncInventoryClient, count: int = 1, product: str = "kettle") -> int:
    """Record *count* events; return the position of the last one."""
    position = 0
    for _ in range(count):
        added = shop.add_stock(product_id=product, store_id="lisbon", quantity=1, timeout=60)
        position = added.position
    return position


def wait_for(page: "Page", position: int, seconds: int = 30) -> None:
    page.wait_for_selector(f"tr[data-key='{position}']", timeout=seconds * 1_000)


@pytest.fixture
def page(browser: "Browser", console: ConsoleProcess, shop: SyncInventoryClient) -> "Page":
    add(shop)
    page = opened(browser, f"{console.url()}/#/events")
    page.wait_for_selector("tbody tr")
    return page


def test_the_server_may_be_restarted_under_an_open_page(
    page: "Page", server: InventoryServer, shop: SyncInventoryClient
) -> None:
    add(shop, 3)
    server.kill()
    page.wait_for_selector("#live[data-state=away]", timeout=30_000)
    assert page.inner_text("#live-said") == "Server away"
    server.start()
    last = add(shop, 3)
    wait_for(page, last)
    page.wait_for_selector("#live[data-state=live]")
    shown = positions(page)
    assert shown == sorted({*shown}, reverse=True)
    assert shown[:6] == [*range(last, last - 6, -1)]


def test_a_page_that_is_opened_while_the_server_is_away_says_so_and_is_shown_when_it_is_back(
    browser: "Browser", tmp_path: Path
) -> None:
    with InventoryServer() as server, console_process(server.address, tmp_path) as console:
        with server.client() as shop:
            add(shop, 2)
        server.stop()
        page = browser.new_page()
        page.goto(f"{console.url()}/#/stock")
        page.wait_for_selector("[role=alert]:has-text('cannot be shown now')", timeout=30_000)
        page.wait_for_selector("#live[data-state=away]", timeout=30_000)
        server.start()
        page.wait_for_selector("tr[data-key='kettle@lisbon']", timeout=60_000)


def test_the_console_may_be_restarted_under_an_open_page_and_no_event_is_lost_or_twice(
    browser: "Browser", server: InventoryServer, shop: SyncInventoryClient, tmp_path: Path
) -> None:
    said = tmp_path / "console.log"
    console = ConsoleProcess.start(server.address, said)
    try:
        url = console.url()
        first = add(shop, 5)
        page = opened(browser, f"{url}/#/events")
        wait_for(page, first)
        page.evaluate("window.isTheSame = true")
        for kills in range(3):
            add(shop, 4)
            console.kill() if kills else console.stop()
            add(shop, 5)
            console = ConsoleProcess.start(
                server.address, said, "--listen", url.removeprefix("http://")
            )
            console.url()
            last = add(shop, 4)
            wait_for(page, last)
        shown = [position for position in positions(page) if position > first]
        assert shown == [*range(last, first, -1)], "each once, in order, without a gap"
        assert page.evaluate("window.isTheSame"), "the page was not loaded anew"
    finally:
        console.kill()


def test_a_page_begins_anew_when_the_server_has_another_log(
    browser: "Browser", tmp_path: Path
) -> None:
    with InventoryServer() as server, console_process(server.address, tmp_path) as console:
        with server.client() as shop:
            add(shop, 30, "mug")
        page = opened(browser, f"{console.url()}/#/events")
        wait_for(page, 30)
        server.stop()
        for file in server.database.parent.glob("inventory.db*"):
            file.unlink()
        server.start()
        with server.client() as shop:
            add(shop, 2, "jug")
        page.wait_for_selector("tr[data-key='2'] :text('jug')", timeout=30_000)
        assert positions(page) == [2, 1]


def test_a_list_and_the_events_after_it_fit_together(
    page: "Page", shop: SyncInventoryClient
) -> None:
    add(shop, 5, "cup")
    last = 0

    def read_late(route: "Route") -> None:
        """Let events come before the list is read, and others before its answer arrives."""
        nonlocal last
        add(shop, 3, "cup")
        time.sleep(SOME_SECONDS)
        answer = route.fetch()
        last = add(shop, 3, "cup")
        time.sleep(SOME_SECONDS)
        # The server reads the head after the rows.
        route.fulfill(response=answer, json={**answer.json(), "head_position": last})

    page.route("**/api/events?*product=cup*", read_late)
    page.evaluate("location.hash = '#/stock/cup/lisbon'")
    page.wait_for_selector("h2:has-text('Why is available')")
    wait_for(page, last)
    events = shop.list_events(product_ids=["cup"], newest_first=True).events
    assert positions(page) == [event.position for event in events]
    assert len(events) == 5 + 3 + 3


def test_a_hidden_page_reads_nothing_and_comes_back_complete(
    page: "Page", shop: SyncInventoryClient
) -> None:
    page.clock.install()
    wait_for(page, add(shop))
    show_as(page, "hidden")
    page.clock.run_for(11_000)
    before = positions(page)[0]
    last = add(shop, 5)
    page.wait_for_timeout(500)
    assert positions(page)[0] == before
    show_as(page, "visible")
    wait_for(page, last)
    assert positions(page)[:6] == [*range(last, last - 6, -1)]


def show_as(page: "Page", visibility: str) -> None:
    page.evaluate(
        """visibility => {
            const value = visibility === "hidden";
            Object.defineProperty(document, "hidden", { value, configurable: true });
            document.dispatchEvent(new Event("visibilitychange"));
        }""",
        visibility,
    )


def test_what_has_passed_takes_no_console_memory(browser: "Browser", tmp_path: Path) -> None:
    events = runs(least=10_000, ci=10_000, deep=100_000)
    with (
        InventoryServer() as server,
        console_process(server.address, tmp_path) as console,
        server.client() as shop,
        campaign("console_memory", events=events) as noted,
    ):
        page = opened(browser, f"{console.url()}/#/events")
        measured = []
        for upto in (events // 10, events):
            pass_by(shop, page, upto)
            measured.append(memory(page, console))
        noted["bytes"] = measured
        assert len(positions(page)) == 200
        early, late = measured
        if not DEEP:
            early.pop("tab")  # after so few events it still grows as its code is compiled
        for part, taken in early.items():
            assert late[part] <= MAX_GROWTH * taken, f"{part}: {taken:,}, then {late[part]:,}"


def pass_by(shop: SyncInventoryClient, page: "Page", upto: int) -> None:
    """Record events until there are *upto*, and wait until the page has shown the last one."""
    position = shop.get_server_info().head_position
    while position < upto:
        size = min(BATCH, upto - position)
        requests = [
            AddStockRequest(product_id=f"mug-{number}", store_id="lisbon", quantity=1)
            for number in range(size)
        ]
        results = shop.execute_batch(requests, timeout=60)
        position = max(getattr(result, "position", 0) for result in results)
    wait_for(page, upto, seconds=100)


def memory(page: "Page", console: ConsoleProcess) -> dict[str, int]:
    session = page.context.new_cdp_session(page)
    for _ in range(3):
        session.send("HeapProfiler.collectGarbage")
    session.send("Performance.enable")
    told = {one["name"]: one["value"] for one in session.send("Performance.getMetrics")["metrics"]}
    return {
        "heap of the page": int(told["JSHeapUsedSize"]),
        "nodes of the page": int(told["Nodes"]),
        "tab": max(map(resident_bytes, renderers())),
        "console": console.resident_bytes(),
    }


def renderers() -> list[int]:
    """Return the processes that show pages, of the browsers that this process has started."""
    children = psutil.Process().children(recursive=True)
    return [child.pid for child in children if "--type=renderer" in child.cmdline()]
