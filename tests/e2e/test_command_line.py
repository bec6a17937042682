"""The command line beside a real server: warnings at its start, the files it makes, its events."""

import json
import shutil
import subprocess
from pathlib import Path

from tests.support.caller import adding, calling
from tests.support.server_process import ROOT, command_line, server_process


async def test_a_start_warns_of_variables_that_nothing_reads_and_of_no_callers(
    tmp_path: Path,
) -> None:
    callers = tmp_path / "callers.toml"
    callers.touch()
    async with server_process(
        tmp_path / "a.db",
        tmp_path / "log",
        "--callers",
        str(callers),
        environment={"INVENTORY_MAX_QUERY": "3", "INVENTORY_SERVICE_HOST": "10.0.0.1"},
    ) as server:
        warnings = [line["event"] for line in server.log() if line["level"] == "warning"]
    [unknown] = [warning for warning in warnings if "is not a setting" in warning]
    assert unknown.startswith("INVENTORY_MAX_QUERY is not a setting")
    assert "INVENTORY_MAX_QUERIES" in unknown
    assert any(f"{callers} has neither a token nor a certificate" in line for line in warnings)


async def test_git_ignores_all_files_of_a_server_and_events_have_the_names_of_the_api(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "clone"
    folder.mkdir()
    shutil.copy(ROOT / ".gitignore", folder)
    _git(folder, "init", "--quiet")
    database = folder / "inventory.db"
    async with server_process(database, tmp_path / "log") as server:
        async with calling(await server.address()) as caller:
            await caller.commands.AddStock(adding(5, request_id="delivery-1"))
        printed = command_line("events", "--database", str(database))
    (folder / "copy.db.partial").touch()  # a backup that was killed
    (folder / "copy.db.partial-wal").touch()
    files = {found.name for found in folder.iterdir()}
    assert files > {"inventory.db", "inventory.db-wal", "inventory.db.lock", "inventory.db.mark"}
    assert _git(folder, "status", "--porcelain") == "?? .gitignore\n"
    event = json.loads(printed.stdout)
    assert event["stock_added"]["quantity"] == "5"
    assert {"event_id", "record_time", "request_id", "product_id"} <= event.keys()


def _git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", *arguments], cwd=folder, check=True, capture_output=True, text=True
    )
    return done.stdout
