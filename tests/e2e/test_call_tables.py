"""The tables of the commands that call a server, as a person reads them."""

import json
import re
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from typer.testing import CliRunner

from inventory_grpc.cli import app
from inventory_grpc.testing import InventoryServer

Table = Callable[..., list[str]]

WIDE, NARROW = "160", "80"


@pytest.fixture(scope="module")
def server() -> Iterator[InventoryServer]:
    with InventoryServer(hold_seconds=900) as running:
        yield running


@pytest.fixture
def table(server: InventoryServer) -> Table:
    """Return what runs a command; it returns the lines of the table, without spaces at the end."""

    def run(words: str, *, columns: str = WIDE, output: str = "table") -> list[str]:
        known = {"INVENTORY_SERVER": server.address, "COLUMNS": columns}
        done = CliRunner().invoke(app, [*words.split(), "-o", output], env=known)
        assert done.exit_code == 0, done.output
        return [line.rstrip() for line in done.stdout.splitlines()]

    return run


def cells(line: str) -> list[str]:
    return re.split(r"\s{2,}", line.strip())


def test_a_history_shows_what_each_event_changed_and_for_whom(table: Table) -> None:
    table("stock add lamp lisbon 5 --reference delivery-9")
    table("cart reserve lamp lisbon 2 --customer ana --cart cart-l")
    table("cart commit cart-l")
    table("stock adjust lamp lisbon --delta -1 --reason broken")
    head, *rows = table("stock history lamp lisbon")
    assert cells(head)[2:] == ["type", "units", "available", "on hand", "about"]
    assert [cells(row)[2:] for row in rows] == [
        ["StockAdjusted", "-1", "2", "2", "broken"],
        ["ReservationCommitted", "-2", "3", "3", "cart-l"],
        ["StockReserved", "2", "3", "5", "cart-l"],
        ["StockAdded", "+5", "5", "5", "delivery-9"],
    ]
    narrow = table("stock history lamp lisbon", columns=NARROW)
    assert max(map(len, narrow)) <= int(NARROW)
    assert "ReservationCommitted" in "".join(narrow)


def test_a_stock_notes_why_fewer_units_are_available_than_on_hand(table: Table) -> None:
    table("stock add mug lisbon 12")
    table("stock move mug lisbon 2 --to-state damaged")
    table("stock fence mug lisbon --channel web --delta 3")
    table("policy set --product mug --safety-stock 1 --low-stock-at 9")
    head, row = table("stock get mug lisbon")
    assert cells(head)[-1] == "notes"
    assert cells(row)[2] == "6"
    assert cells(row)[-1] == "2 damaged, ring fenced 3, safety stock 1, low stock"
    narrow = table("stock list --product mug", columns=NARROW)
    assert max(map(len, narrow)) <= int(NARROW)


def test_a_cart_says_what_became_of_its_lines(server: InventoryServer, table: Table) -> None:
    table("stock add fork lisbon 9")
    table("stock add spoon lisbon 9")
    table("cart reserve fork lisbon 2 spoon lisbon 1 --customer ana --cart cart-f")
    assert cells(table("cart show cart-f")[1])[3] == "2 fork in lisbon, 1 spoon in lisbon"
    table("cart release cart-f spoon lisbon 1")
    held = "2 fork in lisbon, 1 spoon in lisbon (1 released)"
    state, _, lines, until = cells(table("cart show cart-f")[1])[1:]
    assert (state, lines) == ("ACTIVE", held)
    assert until.startswith("20")
    server.advance(timedelta(hours=1))
    assert cells(table("cart show cart-f")[1])[1:] == ["EXPIRED", "ana", held]


def test_the_id_of_a_cart_stays_whole_on_a_narrow_terminal(table: Table) -> None:
    table("stock add plate lisbon 9")
    made = table("cart reserve plate lisbon 2 --customer ana", columns=NARROW)
    fields = dict(cells(line) for line in made)
    assert fields["lines"] == "2 plate in lisbon"
    assert len(fields["cart"]) == 36
    assert any(fields["cart"] in line for line in table("cart list", columns=NARROW))


def test_the_policy_of_a_stock_shows_its_values_and_their_sources(table: Table) -> None:
    table("policy set --product vase --store faro --backorder-limit 3")
    table("policy set --store faro --safety-stock 4")
    table("policy set --product vase --safety-stock 2 --low-stock-at 5")
    shown = table("policy get --product vase --store faro")
    assert [cells(line) for line in shown[3:]] == [
        ["effective", "source"],
        ["safety stock", "4", "store faro"],
        ["backorder limit", "3", "vase in faro"],
        ["low stock at", "5", "product vase"],
        ["alert hysteresis", "-", "default"],
    ]
    [line] = table("policy get --product vase --store faro", output="json")
    told = json.loads(line)
    assert told["policy"] == {"backorder_limit": 3}
    assert told["effective"]["safety_stock"] == 4
    assert told["source"]["safety_stock"] == "store faro"
    assert len(table("policy get --product vase")) == 2
    assert cells(table("policy list --product vase")[1])[:2] == ["vase", "(all)"]


def test_a_product_shows_its_units_in_all_stores(table: Table) -> None:
    table("product put bowl --name Bowl")
    table("stock add bowl lisbon 5")
    table("stock add bowl porto 2")
    table("cart reserve bowl porto 1 --customer ben")
    shown = table("product get bowl")
    assert [cells(line) for line in shown[4:]] == [
        ["available", "6"],
        ["on hand", "7"],
        ["reserved", "1"],
    ]
    [line] = table("product get bowl", output="json")
    assert json.loads(line)["total"] == {"available": 6, "on_hand": 7, "reserved": 1}


def test_the_state_of_a_server_is_in_words(table: Table) -> None:
    told = dict(cells(line) for line in table("status"))
    assert told["circuit breaker"] == "CLOSED"
    assert told["expiry lag"] == "0 s"
    assert "writes refused reason" not in told


def test_an_empty_list_writes_no_table(table: Table) -> None:
    assert table("stock list --product nothing") == []
