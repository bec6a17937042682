"""The event loop that serves: by choice, by what is installed, and by what a test run names."""

import asyncio
from pathlib import Path
from typing import Final

import pytest

from tests.support import loops
from tests.support.caller import adding, calling
from tests.support.server_process import ENVIRONMENT, command_line, server_process

pytest.importorskip("uvloop")

NOT_INSTALLED: Final = 'raise ImportError("not installed")'


@pytest.fixture
def without_uvloop(tmp_path: Path) -> dict[str, str]:
    """Return the environment of a server for which uvloop is not installed."""
    packages = tmp_path / "packages"
    packages.mkdir()
    (packages / "uvloop.py").write_text(NOT_INSTALLED, "utf-8")
    return {"PYTHONPATH": f"{packages}:{ENVIRONMENT['PYTHONPATH']}"}


async def loop_of_server(
    folder: Path, *options: str, environment: dict[str, str] | None = None
) -> str:
    """Return the event loop that a server logs, after it has recorded a command."""
    where = folder / "inventory.db", folder / "server.log"
    async with server_process(*where, *options, environment=environment) as server:
        async with calling(await server.address()) as caller:
            await caller.commands.AddStock(adding(5))
        [serving] = [line["event"] for line in server.log() if "serving on" in line["event"]]
    return str(serving).rpartition("event loop ")[2].rstrip(")")


@pytest.mark.parametrize("name", ["asyncio", "uvloop"])
async def test_a_server_runs_on_the_event_loop_that_is_named(name: str, tmp_path: Path) -> None:
    assert await loop_of_server(tmp_path, "--event-loop", name) == name


async def test_a_server_runs_on_uvloop_by_itself_where_that_is_installed(tmp_path: Path) -> None:
    assert await loop_of_server(tmp_path, "--event-loop", "auto") == "uvloop"


async def test_a_server_runs_on_asyncio_by_itself_without_uvloop(
    tmp_path: Path, without_uvloop: dict[str, str]
) -> None:
    assert (
        await loop_of_server(tmp_path, "--event-loop", "auto", environment=without_uvloop)
        == "asyncio"
    )


def test_uvloop_that_is_named_and_not_installed_is_refused_in_one_line(
    tmp_path: Path, without_uvloop: dict[str, str]
) -> None:
    database = str(tmp_path / "inventory.db")
    ended = command_line(
        *("serve", "--database", database, "--event-loop", "uvloop"), environment=without_uvloop
    )
    assert ended.returncode == 1
    assert "event_loop: uvloop is not installed" in ended.stderr
    assert "Traceback" not in ended.stderr


async def test_a_test_run_and_its_servers_have_the_loop_that_it_names(tmp_path: Path) -> None:
    here = type(asyncio.get_running_loop()).__module__.partition(".")[0]
    assert here == (loops.CHOSEN or "asyncio")
    assert await loop_of_server(tmp_path) == (loops.CHOSEN or "uvloop")
