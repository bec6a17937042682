"""Corrections by form: seen before they are recorded, recorded once, and shown as text."""

from typing import TYPE_CHECKING, Any, Final

import httpx
import pytest

from inventory_grpc.client import Line, SyncInventoryClient
from inventory_grpc.testing import InventoryServer
from tests.support.console import console_process, opened

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Browser, Page

MINUS: Final = "\N{MINUS SIGN}"
HOSTILE: Final = "<img src=x onerror=\"document.title='broken'\"><script>alert(1)</script>"


def stock_of(shop: SyncInventoryClient, product: str) -> Any:  # noqa: ANN401  a message
    return shop.get_stock(product_id=product, store_id="lisbon").stock


def on_page_of(page: "Page", product: str, verb: str) -> None:
    page.evaluate("route => { location.hash = route; }", f"#/stock/{product}/lisbon")
    page.click(f"button:text-is('{verb}')")


def fill(page: "Page", reason: str, **fields: object) -> None:
    for name, value in fields.items():
        page.fill(f"dialog [name={name}]", str(value))
    page.fill("dialog [name=reason]", reason)
    page.click("text=Review")
    page.wait_for_selector("dialog .compare")


def form(product: str, **fields: object) -> dict[str, object]:
    return {
        "product_id": product,
        "store_id": "lisbon",
        "expected_version": 1,
        "quantity": 2,
        "reason": "delivery 1",
        "request_id": f"once-{product}",
        "dry_run": False,
        **fields,
    }


def send(http: httpx.Client, verb: str, body: object) -> httpx.Response:
    origin = str(http.base_url).rstrip("/")
    return http.post(
        f"/api/{verb}", json=body, headers={"origin": origin, "sec-fetch-site": "same-origin"}
    )


def test_a_person_sees_before_and_after_and_then_records(
    page: "Page", shop: SyncInventoryClient
) -> None:
    shop.add_stock(product_id="kettle", store_id="lisbon", quantity=5)
    on_page_of(page, "kettle", "Remove")
    fill(page, "broken in the window", quantity=2)
    shown = page.locator(".compare tbody tr").all_inner_texts()
    assert [row.replace(MINUS, "-").split("\t") for row in shown] == [
        ["On hand", "5", "3", "-2"],
        ["Reserved", "0", "0", "\N{EN DASH}"],
        ["Available", "5", "3", "-2"],
    ]
    assert stock_of(shop, "kettle").on_hand == 5, "nothing is recorded yet"
    page.click("text=Record it")
    page.wait_for_selector(".tile.strong .figure:text-is('3')")
    event = shop.list_events(product_ids=["kettle"], newest_first=True).events[0]
    assert (event.reason, event.stock_removed.quantity) == ("broken in the window", 2)


def test_a_double_click_is_one_command(page: "Page", shop: SyncInventoryClient) -> None:
    shop.add_stock(product_id="mug", store_id="lisbon", quantity=5)
    sent: list[str] = []
    page.on("request", lambda one: sent.append(one.url) if one.method == "POST" else None)
    on_page_of(page, "mug", "Add")
    fill(page, "delivery 2", quantity=3)
    page.dblclick("text=Record it")
    page.wait_for_selector(".tile.strong .figure:text-is('8')")
    # As two clicks are where the button does not notice the first one in time.
    on_page_of(page, "mug", "Add")
    fill(page, "delivery 3", quantity=1)
    page.eval_on_selector(
        "dialog .main",
        "b => { b.click(); b.setAttribute('aria-busy', 'false'); b.click(); }",
    )
    page.wait_for_selector(".tile.strong .figure:text-is('9')")
    page.wait_for_selector(".toast:has-text('recorded before')")
    assert stock_of(shop, "mug").on_hand == 9
    assert len([url for url in sent if url.endswith("/add")]) >= 2 + 1 + 2, "both were sent"


def test_the_same_form_sent_twice_is_recorded_once(
    http: httpx.Client, shop: SyncInventoryClient
) -> None:
    shop.add_stock(product_id="teapot", store_id="lisbon", quantity=5)
    answers = [send(http, "add", form("teapot")).json() for _ in range(2)]
    assert [answer["replayed"] for answer in answers] == [False, True]
    assert answers[0]["position"] == answers[1]["position"]
    assert stock_of(shop, "teapot").on_hand == 7


def test_a_stock_that_changed_meanwhile_is_not_changed_unseen(
    page: "Page", shop: SyncInventoryClient
) -> None:
    shop.add_stock(product_id="toaster", store_id="lisbon", quantity=5)
    on_page_of(page, "toaster", "Adjust")
    fill(page, "counted on Sunday", on_hand=4)
    shop.remove_stock(product_id="toaster", store_id="lisbon", quantity=3)
    page.click("text=Record it")
    page.wait_for_selector("dialog .problem:not([hidden])")
    assert stock_of(shop, "toaster").on_hand == 2
    page.click("text=Back")
    page.click("text=Review")
    page.wait_for_selector(".compare td:text-is('+2')")
    page.click("text=Record it")
    page.wait_for_selector(".tile.strong .figure:text-is('4')")


def test_a_first_delivery_begins_a_stock(page: "Page", shop: SyncInventoryClient) -> None:
    page.evaluate("() => { location.hash = '#/stock'; }")
    page.click("button:text-is('Add')")
    fill(page, "first delivery", product="tray", store="lisbon", quantity=6)
    page.click("text=Record it")
    page.wait_for_selector("tr[data-key='tray@lisbon']")
    assert stock_of(shop, "tray").on_hand == 6


def test_a_reservation_is_released(page: "Page", shop: SyncInventoryClient) -> None:
    shop.add_stock(product_id="scale", store_id="lisbon", quantity=5)
    shop.reserve_stock(
        lines=[Line("scale", "lisbon", 2)], customer_id="ana", reservation_id="ana-7"
    )
    page.evaluate("() => { location.hash = '#/reservations/ana-7'; }")
    page.click("button:text-is('Release')")
    fill(page, "the customer called")
    page.click("text=Record it")
    page.wait_for_selector(".title .badge:text-is('Released')")
    assert stock_of(shop, "scale").available == 5


def test_a_refusal_is_told_in_the_form(page: "Page", shop: SyncInventoryClient) -> None:
    shop.add_stock(product_id="whisk", store_id="lisbon", quantity=1)
    on_page_of(page, "whisk", "Remove")
    page.fill("dialog [name=quantity]", "7")
    page.fill("dialog [name=reason]", "lost")
    page.click("text=Review")
    page.wait_for_selector("dialog .problem:has-text('7 requested, 1 available')")


def test_what_a_caller_wrote_is_shown_as_text(page: "Page", shop: SyncInventoryClient) -> None:
    page.on("dialog", lambda _: pytest.fail("a script has run"))
    shop.add_stock(product_id="jug", store_id="lisbon", quantity=5, reason=HOSTILE)
    shop.put_product(product_id="jug", name=HOSTILE)
    for route in ("stock/jug/lisbon", "events", ""):
        page.evaluate("route => { location.hash = `#/${route}`; }", route)
        page.wait_for_selector("main tbody tr")
        if route != "":
            page.wait_for_selector(".reason:has-text('<img src=x')")
        assert page.locator("main img, main script").count() == 0
    assert "broken" not in page.title()


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"reason": " "}, "reason"),
        ({"reason": "x" * 501}, "reason"),
        ({"request_id": ""}, "request_id"),
        ({"quantity": "2"}, "quantity"),
        ({"quantity": True}, "quantity"),
        ({"quantity": 10**30}, "quantity"),
        ({"expected_version": None}, "expected_version"),
        ({"unconditional": True}, "unconditional"),
        ({"timeout": 1}, "timeout"),
    ],
    ids=str,
)
def test_a_bad_form_is_refused_by_field(
    http: httpx.Client, fields: dict[str, object], told: str
) -> None:
    answer = send(http, "add", form("jar", **fields))
    assert answer.status_code in {400, 422}
    assert told in answer.json()["message"]


@pytest.mark.parametrize("body", [[], "x", 7, True], ids=str)
def test_a_form_is_an_object(http: httpx.Client, body: object) -> None:
    assert send(http, "add", body).status_code == 400


def test_without_write_nothing_can_be_changed(
    server: InventoryServer, browser: "Browser", shop: SyncInventoryClient, tmp_path: "Path"
) -> None:
    shop.add_stock(product_id="cup", store_id="lisbon", quantity=5)
    with console_process(server.address, tmp_path) as console:
        with httpx.Client(base_url=console.url()) as http:
            for verb in ("add", "remove", "adjust", "release"):
                assert send(http, verb, form("cup")).status_code == 404
        page = opened(browser, f"{console.url()}/#/stock/cup/lisbon")
        page.wait_for_selector("h2:has-text('Why is available')")
        assert page.locator("main .actions button").count() == 0
        assert page.inner_text("#mode") == "Read-only"
    assert stock_of(shop, "cup").on_hand == 5
