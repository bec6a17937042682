"""Each page in a real browser: it shows what is recorded, live, to everybody."""

import re
from typing import TYPE_CHECKING, Final

import pytest

from inventory_grpc.client import Line, SyncInventoryClient
from tests.support.console import ConsoleProcess, opened, positions

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

PAGES: Final = {
    "": "Latest events",
    "stock": "mug-000",
    "stock/kettle/lisbon": "Why is available",
    "reservations": "ana-1",
    "reservations/ana-1": "Held until",
    "events": "Position",
    "server": "Durability",
}
"""Each page, and a text that it shows when it is loaded."""

MUGS: Final = 103
LONG: Final = "kettle" * 21
"""An id of 126 characters."""


@pytest.fixture(scope="module", autouse=True)
def _stocked(shop: SyncInventoryClient) -> None:
    for number in range(MUGS):
        shop.add_stock(product_id=f"mug-{number:03}", store_id="porto", quantity=9)
    shop.set_policy(product_id="kettle", store_id="lisbon", safety_stock=1)
    shop.add_stock(product_id="kettle", store_id="lisbon", quantity=9, reason="delivery 1")
    shop.move_stock(product_id="kettle", store_id="lisbon", quantity=2, to_state="damaged")
    shop.fence_stock(product_id="kettle", store_id="lisbon", channel="web", delta=1)
    shop.reserve_stock(
        lines=[Line("kettle", "lisbon", 2)], customer_id="ana", reservation_id="ana-1"
    )


def show(page: "Page", route: str) -> None:
    page.evaluate("route => { location.hash = `#/${route}`; }", route)
    shown = "" if "?" in route else PAGES.get(route, "")
    page.wait_for_selector(f"main :text('{shown}')")


def test_a_stock_shows_a_command_as_soon_as_it_is_recorded(
    page: "Page", shop: SyncInventoryClient
) -> None:
    show(page, "stock/kettle/lisbon")
    before = shop.get_stock(product_id="kettle", store_id="lisbon").stock.available
    page.wait_for_selector(f".tile.strong .figure:text-is('{before}')")
    shop.add_stock(product_id="kettle", store_id="lisbon", quantity=1, reason="delivery 2")
    page.wait_for_selector(f".tile.strong .figure:text-is('{before + 1}')")
    page.wait_for_selector("td:has-text('delivery 2')")


def test_the_sum_says_why_so_many_are_available(page: "Page", shop: SyncInventoryClient) -> None:
    show(page, "stock/kettle/lisbon")
    available = shop.get_stock(product_id="kettle", store_id="lisbon").stock.available
    page.wait_for_selector(f"h2:text-is('Why is available {available}?')")
    lines = page.locator(".sum tr").all_inner_texts()
    said = [re.split(r"\t", line.replace("\N{MINUS SIGN}", "-")) for line in lines]
    units = [int(number) for _, number in said]
    assert sum(units[:-1]) == units[-1] == available
    assert [name for name, _ in said[1:-1]] == [
        "in the state damaged",
        "reserved for customers",
        "set aside for web",
        "kept back as safety stock",
    ]


def test_the_plot_has_a_step_for_each_event_of_the_stock(
    page: "Page", shop: SyncInventoryClient
) -> None:
    show(page, "stock/kettle/lisbon")
    page.wait_for_selector(".plot path.line.available")
    events = shop.list_events(product_ids=["kettle"], store_ids=["lisbon"]).events
    path = page.locator(".plot path.line.available").get_attribute("d")
    assert path is not None
    assert path.count("V") == len(events) - 1
    page.locator(".plot").focus()
    page.keyboard.press("ArrowLeft")
    page.wait_for_selector(f".readout:has-text('position {events[-1].position}')")


def test_a_list_comes_in_pages_of_a_hundred(page: "Page") -> None:
    show(page, "stock")
    page.wait_for_selector("text=100 stocks, and more")
    assert page.locator("tbody tr").count() == 100
    page.click("text=Next page")
    page.wait_for_selector("tr[data-key='mug-102@porto']")
    assert page.locator("tbody tr").count() == MUGS + 1 - 100
    page.click("text=First page")
    page.wait_for_selector("tr[data-key='mug-000@porto']")


def test_stocks_are_filtered(page: "Page") -> None:
    show(page, "stock")
    page.fill("#filter-product", "mug-007")
    page.keyboard.press("Enter")
    page.wait_for_selector("text=1 stocks")
    assert page.locator("tbody tr").get_attribute("data-key") == "mug-007@porto"


def test_a_new_stock_appears_in_its_place_in_the_list(
    page: "Page", shop: SyncInventoryClient
) -> None:
    show(page, "stock?store=madrid")
    page.wait_for_selector("text=No stock matches.")
    for product in ("toaster", "kettle", "teapot"):
        shop.add_stock(product_id=product, store_id="madrid", quantity=1)
    page.wait_for_selector("tr[data-key='teapot@madrid']")
    keys = page.eval_on_selector_all("tbody tr", "rows => rows.map(row => row.dataset.key)")
    assert keys == ["kettle@madrid", "teapot@madrid", "toaster@madrid"]


def test_a_reservation_shows_how_it_ends(page: "Page", shop: SyncInventoryClient) -> None:
    shop.reserve_stock(
        lines=[Line("mug-001", "porto", 3)], customer_id="ben", reservation_id="ben-1"
    )
    page.evaluate("() => { location.hash = '#/reservations/ben-1'; }")
    page.wait_for_selector(".badge:text-is('Active')")
    shop.commit_reservation(reservation_id="ben-1")
    page.wait_for_selector(".title .badge:text-is('Sold')")


def test_events_are_filtered_also_the_live_ones(page: "Page", shop: SyncInventoryClient) -> None:
    show(page, "events?product=mug-002")
    page.wait_for_selector("tbody tr")
    shop.add_stock(product_id="mug-003", store_id="porto", quantity=1)
    last = shop.add_stock(product_id="mug-002", store_id="porto", quantity=1).position
    page.wait_for_selector(f"tr[data-key='{last}']")
    assert len(positions(page)) == 2


def test_events_wait_while_the_page_is_paused(page: "Page", shop: SyncInventoryClient) -> None:
    show(page, "events")
    page.wait_for_selector("tbody tr")
    before = positions(page)
    page.click("#pause")
    last = shop.add_stock(product_id="mug-004", store_id="porto", quantity=1).position
    page.wait_for_selector("#pause:text-is('Resume, 1 new')")
    assert positions(page) == before
    page.click("#pause")
    page.wait_for_selector(f"tr[data-key='{last}']")


def test_the_log_is_shown_from_any_position(page: "Page") -> None:
    show(page, "events")
    page.fill("#filter-from", "42")
    page.keyboard.press("Enter")
    page.wait_for_selector("text=From position 42 on")
    page.wait_for_selector("tr[data-key='42']")
    assert positions(page) == [*range(42, positions(page)[-1] + 1)]


def test_the_server_page_has_the_log_of_the_server(page: "Page", shop: SyncInventoryClient) -> None:
    show(page, "server")
    page.wait_for_selector(f"dd:has-text('{shop.get_server_info().log_id}')")
    page.wait_for_selector(".badge:text-is('Accepted')")


@pytest.mark.parametrize("width", [360, 1280])
def test_no_page_scrolls_sideways(
    browser: "Browser", console: ConsoleProcess, shop: SyncInventoryClient, width: int
) -> None:
    shop.add_stock(product_id=LONG, store_id=LONG, quantity=10**9, reason="x" * 200)
    shop.reserve_stock(lines=[Line(LONG, LONG, 1)], customer_id=LONG, reservation_id=LONG[:120])
    page = opened(browser, console.url(), viewport={"width": width, "height": 740})
    long = (f"stock/{LONG}/{LONG}", f"reservations/{LONG[:120]}", f"stock?product={LONG}")
    for route in (*PAGES, *long):
        show(page, route)
        page.wait_for_selector("main tbody tr, main dl")
        wider = page.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert wider <= 0, f"{route or 'overview'} is {wider} px too wide"
        cut = page.eval_on_selector_all(
            "main .card table",
            "all => all.filter(t => t.scrollWidth > t.closest('.card').clientWidth).length",
        )
        assert not cut, f"a table of {route or 'overview'} is cut off"


def test_everything_is_reached_by_the_keyboard(page: "Page") -> None:
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "skip"
    for _ in range(3):
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_selector("h1:text-is('Stock')")
    assert page.evaluate("document.activeElement.tagName") == "H1"
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.id") == "filter-product"
    page.keyboard.type("kettle")
    page.keyboard.press("Enter")
    page.wait_for_selector("text=Clear")
    page.wait_for_selector("tbody a:text-is('kettle')")
    page.locator("tbody a").first.focus()
    page.keyboard.press("Enter")
    page.wait_for_selector("h2:has-text('Why is available')")
    page.locator("button:text-is('Add')").focus()
    page.keyboard.press("Enter")
    page.wait_for_selector("dialog[open]")
    assert page.evaluate("document.activeElement.name") == "quantity"
    page.keyboard.press("Escape")
    page.wait_for_selector("dialog", state="detached")


def test_it_says_aloud_what_changes(page: "Page", shop: SyncInventoryClient) -> None:
    show(page, "events")
    page.wait_for_selector("tbody tr")
    shop.add_stock(product_id="mug-005", store_id="porto", quantity=1)
    page.wait_for_selector("#said[aria-live=polite]:has-text('1 new events')", state="attached")
    assert page.get_attribute("#live-said", "role") == "status"


def test_it_is_dark_for_those_who_want_it_so(browser: "Browser", console: ConsoleProcess) -> None:
    def background(scheme: str) -> str:
        page = opened(browser, console.url(), color_scheme=scheme)
        found = page.evaluate("getComputedStyle(document.body).backgroundColor")
        page.context.close()
        return str(found)

    assert background("dark") == "rgb(15, 16, 19)"
    assert background("light") == "rgb(247, 247, 248)"


def test_every_mark_has_a_word(page: "Page", shop: SyncInventoryClient) -> None:
    shop.remove_stock(product_id="mug-006", store_id="porto", quantity=9)
    show(page, "stock?product=mug-006")
    page.wait_for_selector(".badge:text-is('Out')")
    for route in PAGES:
        show(page, route)
        assert "" not in page.locator(".badge").all_inner_texts()
    assert page.inner_text("#live-said") == "Live"


def test_nothing_of_a_page_is_missing_or_refused(
    browser: "Browser", console: ConsoleProcess
) -> None:
    problems: list[str] = []
    context = browser.new_context()
    page = context.new_page()
    page.on("console", lambda said: problems.append(said.text) if said.type == "error" else None)
    page.on("response", lambda got: problems.append(got.url) if got.status >= 400 else None)
    page.goto(console.url())
    page.wait_for_selector("#live[data-state=live]")
    for route in PAGES:
        show(page, route)
        page.wait_for_selector("main tbody tr, main dl")
    assert problems == []
