"""Export of stocks from the command line, out of a real server."""

import csv
import json
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import pytest
from typer.testing import CliRunner, Result

from inventory_grpc.cli import app
from inventory_grpc.cli.files import snapshot
from inventory_grpc.cli.files.snapshot import Snapshot, take
from inventory_grpc.cli.files.sources import PRODUCTS as PRODUCTS_SOURCE
from inventory_grpc.cli.files.sources import STOCK
from inventory_grpc.client import SyncInventoryClient
from inventory_grpc.testing import InventoryServer
from inventory_grpc_protos.v1.commands_pb2 import AddStockRequest, RemoveStockRequest
from tests.support.server_process import COMMAND, ENVIRONMENT

Run = Callable[..., Result]

PRODUCTS: Final = [f"kettle-{n}" for n in range(9)]
A_PAGE: Final = 2
BEFORE_ALL: Final = "a-lamp"
"""A product that comes before the pages that were read."""


def run(server: InventoryServer, *words: str | Path) -> Result:
    known = {"INVENTORY_SERVER": server.address, "COLUMNS": "120"}
    return CliRunner().invoke(app, [*map(str, words)], env=known)


@pytest.fixture
def empty() -> Iterator[InventoryServer]:
    with InventoryServer() as server:
        yield server


@pytest.fixture
def inventory(empty: InventoryServer) -> Iterator[SyncInventoryClient]:
    with empty.client() as client:
        yield client


@pytest.fixture(scope="module")
def full() -> Iterator[InventoryServer]:
    """Serve stocks of all kinds."""
    with InventoryServer() as server, server.client() as client:
        client.add_stock(product_id="mug", store_id="lisbon", quantity=5)
        client.move_stock(product_id="mug", store_id="lisbon", quantity=2, to_state="damaged")
        client.reserve_stock(lines=[("mug", "lisbon", 1)], customer_id="ana")
        for quantity in (10**9, 10**9, 5):
            client.add_stock(product_id="screw", store_id="porto", quantity=quantity)
        client.add_stock(product_id="sold", store_id="porto", quantity=1)
        client.remove_stock(product_id="sold", store_id="porto", quantity=1)
        client.add_stock(product_id="cup", store_id="lisbon", quantity=1, state="returned")
        yield server


def on_hand(client: SyncInventoryClient) -> dict[tuple[str, str], tuple[int, dict[str, int]]]:
    return {
        (one.product_id, one.store_id): (
            one.on_hand,
            {state.state: state.units for state in one.states},
        )
        for one in client.list_stock().stocks
        if one.on_hand
    }


def test_all_rows_are_as_of_one_position_although_the_pages_are_not(
    inventory: SyncInventoryClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshot, "PAGE", A_PAGE)
    for product in PRODUCTS:
        inventory.add_stock(product_id=product, store_id="lisbon", quantity=10)

    def move(read: int) -> None:
        """Between two pages, move units to a product whose page was read, and make a new one."""
        last, new = PRODUCTS[-1], f"{BEFORE_ALL}-{read}"
        inventory.execute_atomic(
            [
                RemoveStockRequest(product_id=last, store_id="lisbon", quantity=1),
                AddStockRequest(product_id=PRODUCTS[0], store_id="lisbon", quantity=1),
            ]
        )
        inventory.add_stock(product_id=new, store_id="lisbon", quantity=1)
        inventory.remove_stock(product_id=new, store_id="lisbon", quantity=1)

    at_least = []

    def page(client: SyncInventoryClient, **wanted: Any) -> Any:  # noqa: ANN401  any request
        answer = client.list_stock(**wanted)
        at_least.append((wanted["min_position"], answer.as_of_position))
        return answer

    with closing(Snapshot()) as taken:
        position = take(inventory, STOCK._replace(page=page), taken, {}, move)
        rows = [*taken.rows()]
    assert sum(row[2] for row in rows) == 10 * len(PRODUCTS)
    assert [row[0] for row in rows] == sorted({row[0] for row in rows})
    for product, store, quantity, state, held, reserved, available, version in rows:
        then = inventory.get_stock(
            product_id=product, store_id=store, as_of_position=position
        ).stock
        assert (held, reserved, available, version) == (
            then.on_hand,
            then.reserved,
            then.available,
            then.version,
        )
        assert (quantity, state) == (held, "")
    assert any(row[0].startswith(BEFORE_ALL) for row in rows)
    first = at_least[0][1]  # another worker may be behind the one that answered first
    assert [one for one, _ in at_least[1:]] == [first] * (len(at_least) - 1)


@pytest.mark.parametrize("name", ["stocks.csv", "stocks.jsonl"])
def test_an_import_reads_what_an_export_wrote(
    full: InventoryServer,
    empty: InventoryServer,
    inventory: SyncInventoryClient,
    tmp_path: Path,
    name: str,
) -> None:
    path = tmp_path / name
    with full.client() as client:
        head = client.get_server_info().head_position
        done = run(full, "export", path)
        assert done.exit_code == 0, done.output
        assert f"7 rows as of position {head}" in done.stderr
        done = run(empty, "import", path)
        assert done.exit_code == 0, done.output
        assert json.loads(done.stdout)["empty"] == 1
        assert on_hand(inventory) == on_hand(client)
    assert [*path.parent.iterdir()] == [path]


def test_each_row_has_the_levels_and_the_position(full: InventoryServer, tmp_path: Path) -> None:
    path = tmp_path / "stocks.csv"
    run(full, "export", path, "--product", "mug")
    with path.open(encoding="utf-8", newline="") as file:
        rows = [*csv.DictReader(file)]
    assert [(row["quantity"], row["state"]) for row in rows] == [("3", ""), ("2", "damaged")]
    levels = {"on_hand": "5", "reserved": "1", "available": "2"}
    with full.client() as client:
        levels["position"] = str(client.get_server_info().head_position)
    assert all(row.items() >= levels.items() for row in rows)


def test_filters_choose_stocks_and_a_dash_is_standard_output(full: InventoryServer) -> None:
    done = run(full, "export", "-", "--format", "jsonl", "--store", "porto", "--quiet")
    rows: list[dict[str, Any]] = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(row["product_id"], row["quantity"]) for row in rows] == [
        ("screw", 10**9),
        ("screw", 10**9),
        ("screw", 5),
        ("sold", 0),
    ]
    assert done.stderr == ""
    assert run(full, "export", "-").exit_code == 2


def test_a_file_is_replaced_as_a_whole_or_not_at_all(
    full: InventoryServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "stocks.csv"
    path.write_text("as it was", encoding="utf-8")

    def broken(_: Snapshot) -> Iterator[list[object]]:
        yield [1] * len(STOCK.columns)
        raise OSError("no space left on the device")

    with monkeypatch.context() as patched:
        patched.setattr(Snapshot, "rows", broken)
        done = run(full, "export", path)
    assert done.exit_code == 1
    assert "no space left" in done.stderr
    assert path.read_text("utf-8") == "as it was"
    assert [*tmp_path.iterdir()] == [path]
    assert run(full, "export", tmp_path, "--format", "csv").exit_code == 1
    link = tmp_path / "link.csv"
    link.symlink_to(path)
    assert run(full, "export", link).exit_code == 0
    assert link.is_symlink()
    assert path.read_text("utf-8").startswith("product_id,")


NAMES: Final = [
    "Kettle",
    'the "best", of\rall;\r\nkettles',
    "=cmd()",
    "two\rlines",
    "\u00c9vora \u2603",
    "",
]


@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
def test_a_catalogue_is_exported_and_imported(
    empty: InventoryServer, inventory: SyncInventoryClient, tmp_path: Path, suffix: str
) -> None:
    for n, name in enumerate(NAMES):
        inventory.put_product(
            product_id=f"p-{n}", sku=f"00{n}", name=name, attributes={"a b": name, "c": ""}
        )
        inventory.put_store(store_id=f"s-{n}", kind="WAREHOUSE", name=name, groups=["a", "b"])
    inventory.put_product(product_id="bare")
    inventory.retire_product(product_id="p-1")
    inventory.retire_store(store_id="s-1")
    with InventoryServer() as other, other.client() as copied:
        for rows in ("products", "stores"):
            path = tmp_path / f"{rows}.{suffix}"
            assert run(empty, "export", path, "--rows", rows).exit_code == 0
            done = run(other, "import", path, "--rows", rows)
            assert done.exit_code == 0, done.output
        assert _entries(copied) == _entries(inventory)
        head = copied.get_server_info().head_position
        assert run(other, "import", path, "--rows", "stores").exit_code == 0
        assert copied.get_server_info().head_position == head


def _entries(client: SyncInventoryClient) -> list[object]:
    products, stores = client.list_products().products, client.list_stores().stores
    return [
        *((one.product_id, one.sku, one.name, {**one.attributes}, one.state) for one in products),
        *((one.store_id, one.kind, one.name, [*one.groups], one.state) for one in stores),
    ]


def test_a_catalogue_that_changes_while_it_is_read_is_as_of_one_position(
    inventory: SyncInventoryClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshot, "PAGE", A_PAGE)
    for product in PRODUCTS:
        inventory.put_product(product_id=product, name="old")

    def rename(read: int) -> None:
        inventory.put_product(product_id=PRODUCTS[0], name=f"new {read}")

    with closing(Snapshot()) as taken:
        take(inventory, PRODUCTS_SOURCE, taken, {}, rename)
        [first, *_] = taken.rows()
    assert first[2] == "new 8"  # after the last page but one


def test_an_old_catalogue_is_put_back_by_its_file(
    empty: InventoryServer, inventory: SyncInventoryClient, tmp_path: Path
) -> None:
    path = tmp_path / "products.csv"
    for name in ("old", "new", "old"):
        path.write_text(f"product_id,name\nkettle,{name}\n", encoding="utf-8")
        assert run(empty, "import", path, "--rows", "products").exit_code == 0
        assert inventory.get_product(product_id="kettle").product.name == name


def test_a_reader_may_close_the_output_early(full: InventoryServer) -> None:
    words = ["export", "-", "--format", "csv", "--server", full.address]
    with subprocess.Popen(
        [*COMMAND, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=ENVIRONMENT,
        text=True,
    ) as process:
        assert process.stdout
        process.stdout.close()
        assert process.wait(timeout=60) == 0
        assert process.stderr
        assert "Errno" not in process.stderr.read()
