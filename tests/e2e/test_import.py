"""Import of files from the command line, into a real server."""

import csv
import json
import signal
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest
from typer.testing import CliRunner, Result

from inventory_grpc.cli import app
from inventory_grpc.client import SyncInventoryClient
from inventory_grpc.testing import InventoryServer
from tests.support.server_process import COMMAND, ENVIRONMENT
from tests.support.waiting import eventually

Units = Counter[tuple[str, str]]

ROWS: Final = 20_000
BEGUN: Final = 2_000
"""Rows that are recorded before something is killed."""

HEAD: Final = "product_id,store_id,quantity\n"


@pytest.fixture(scope="module")
def server() -> Iterator[InventoryServer]:
    with InventoryServer() as running:
        yield running


@pytest.fixture
def run(server: InventoryServer) -> Callable[..., Result]:
    def run(*words: str | Path, given: str = "") -> Result:
        known = {"INVENTORY_SERVER": server.address, "COLUMNS": "120"}
        return CliRunner().invoke(app, ["import", *map(str, words)], input=given, env=known)

    return run


def written(path: Path, rows: int = ROWS) -> Units:
    """Write deliveries, some of which are equal; return the units that come in."""
    units: Units = Counter()
    with path.open("w", encoding="utf-8") as file:
        file.write(HEAD)
        for n in range(rows):
            stock, quantity = (f"kettle-{n // 400}", f"store-{n % 40}"), 1 + n % 3
            units[stock] += quantity
            file.write(f"{stock[0]},{stock[1]},{quantity}\n")
    return units


def on_hand(inventory: SyncInventoryClient) -> Units:
    units: Units = Counter()
    token, is_more = "", True
    while is_more:
        page = inventory.list_stock(page_size=1_000, page_token=token)
        units.update({(one.product_id, one.store_id): one.on_hand for one in page.stocks})
        token = page.next_page_token
        is_more = bool(token)
    return units


@contextmanager
def importing(path: Path, server: InventoryServer) -> Iterator["subprocess.Popen[str]"]:
    """Run an import in a process of its own."""
    with subprocess.Popen(
        [*COMMAND, "import", str(path), "--server", server.address, "--timeout", "60"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=ENVIRONMENT,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


async def test_an_import_that_was_killed_and_is_run_again_gives_exact_levels(
    tmp_path: Path,
) -> None:
    path = tmp_path / "deliveries.csv"
    units = written(path)
    with InventoryServer() as server, server.client() as inventory:
        with importing(path, server) as process:
            await eventually(lambda: inventory.get_server_info().head_position >= BEGUN)
            process.send_signal(signal.SIGKILL)
            assert process.wait() == -signal.SIGKILL
        begun = inventory.get_server_info().head_position
        assert BEGUN <= begun < ROWS
        with importing(path, server) as process:
            told, _ = process.communicate(timeout=60)
        done = json.loads(told)
        assert done["recorded"] + done["recorded_before"] == ROWS
        assert done["recorded_before"] >= begun
        assert on_hand(inventory) == units
        assert inventory.get_server_info().head_position == ROWS


async def test_an_import_goes_on_when_the_server_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "deliveries.csv"
    units = written(path)
    with InventoryServer() as server, server.client() as inventory:
        with importing(path, server) as process:
            await eventually(lambda: inventory.get_server_info().head_position >= BEGUN)
            server.kill()
            server.start()
            told, noted = process.communicate(timeout=60)
        assert process.returncode == 0, noted
        done = json.loads(told)
        assert done["recorded"] + done["recorded_before"] == ROWS
        assert "sending it again" in noted
        assert on_hand(inventory) == units


def test_bad_rows_are_told_and_the_others_are_recorded(
    run: Callable[..., Result], server: InventoryServer, tmp_path: Path
) -> None:
    path, rejects = tmp_path / "mixed.csv", tmp_path / "bad.csv"
    path.write_text(
        "product_id,store_id,quantity,state\n"
        'mug,lisbon,5,\nmug,lisbon,"1,000",\nmug,lisbon,0,\nmug é,lisbon,1,\n'
        "mug,lisbon,2000000000,\nmug,lisbon,1,lost\nmug,lisbon,2,damaged\n",
        encoding="utf-8",
    )
    done = run(path, "--rejects", rejects)
    assert done.exit_code == 3
    counts = json.loads(done.stdout)
    assert {name: counts[name] for name in ("rows", "recorded", "empty", "bad")} == {
        "rows": 7,
        "recorded": 2,
        "empty": 1,
        "bad": 4,
    }
    with rejects.open(encoding="utf-8", newline="") as file:
        bad = {int(row["row"]): (row["field"], row["problem"]) for row in csv.DictReader(file)}
    assert {row: field for row, (field, _) in bad.items()} == {
        3: "quantity",
        5: "product_id",
        6: "quantity",
        7: "state",
    }
    assert "allowed are A-Z a-z 0-9" in bad[5][1]
    with server.client() as inventory:
        stock = inventory.get_stock(product_id="mug", store_id="lisbon").stock
    assert (stock.on_hand, stock.available) == (7, 5)
    again = run(path)
    assert json.loads(again.stdout)["recorded_before"] == 2
    assert "row 3: quantity: '1,000' has a separator of thousands" in again.stderr
    assert "2 rows were recorded before, as 'mixed.csv'" in again.stderr


def test_a_mended_file_adds_what_was_bad_and_another_name_adds_all(
    run: Callable[..., Result], tmp_path: Path
) -> None:
    path = tmp_path / "mended.csv"
    path.write_text(f"{HEAD}cup,lisbon,5\ncup,porto,five\n", encoding="utf-8")
    run(path)
    path.write_text(f"{HEAD}cup,porto,5\ncup,lisbon,5\n", encoding="utf-8")
    assert json.loads(run(path).stdout)["recorded"] == 1
    assert json.loads(run(path, "--name", "second").stdout)["recorded"] == 2


def test_a_dry_run_checks_and_records_nothing(
    run: Callable[..., Result], server: InventoryServer, tmp_path: Path
) -> None:
    path = tmp_path / "tried.csv"
    path.write_text(f"{HEAD}pan,lisbon,5\npan!,lisbon,5\n", encoding="utf-8")
    with server.client() as inventory:
        before = inventory.get_server_info().head_position
        done = run(path, "--dry-run")
        assert inventory.get_server_info().head_position == before
    assert done.exit_code == 3
    assert json.loads(done.stdout)["dry_run"] is True
    assert "nothing was recorded" in done.stderr
    assert "row 3: product_id: " in done.stderr
    assert json.loads(run(path).stdout)["recorded"] == 1


def test_the_file_of_bad_rows_is_not_the_file_itself(
    run: Callable[..., Result], tmp_path: Path
) -> None:
    path = tmp_path / "deliveries.csv"
    path.write_text(f"{HEAD}plate,lisbon,5\n", encoding="utf-8")
    done = run(path, "--rejects", tmp_path / "." / "deliveries.csv")
    assert done.exit_code == 1
    assert "itself, which would be lost" in done.stderr
    assert path.read_text("utf-8") == f"{HEAD}plate,lisbon,5\n"


def test_a_file_that_ends_in_trouble_is_mended_and_run_again(
    run: Callable[..., Result], tmp_path: Path
) -> None:
    path = tmp_path / "broken.csv"
    path.write_text(f'{HEAD}bowl,lisbon,5\nbowl,"porto"5,5\n', encoding="utf-8")
    done = run(path)
    assert done.exit_code == 1
    assert "row 3, which ends on line 3" in done.stderr
    assert json.loads(done.stdout)["recorded"] == 1
    path.write_text(f"{HEAD}bowl,lisbon,5\nbowl,porto,5\n", encoding="utf-8")
    assert json.loads(run(path).stdout)["recorded"] == 1


def test_rows_come_from_standard_input_under_a_name(run: Callable[..., Result]) -> None:
    row = '{"product_id": "jug", "store_id": "lisbon", "quantity": 2}\n'
    done = run("-", "--format", "jsonl", "--name", "jugs", given=row)
    assert json.loads(done.stdout)["recorded"] == 1
    assert run("-", "--format", "jsonl", given=row).exit_code == 2
    assert run("-", "--name", "jugs", given=row).exit_code == 2


def test_the_exit_code_tells_a_wrong_file_from_a_server_that_is_away(
    run: Callable[..., Result], tmp_path: Path
) -> None:
    path = tmp_path / "deliveries.csv"
    assert run(path).exit_code == 1
    path.write_text("product_id,store_id\n", encoding="utf-8")
    done = run(path)
    assert done.exit_code == 1
    assert "it has no 'quantity'" in done.stderr
    path.write_text(f"{HEAD}kettle,lisbon,5\n", encoding="utf-8")
    away = run(path, "--server", "127.0.0.1:1", "--timeout", "0.5")
    assert away.exit_code == 4
