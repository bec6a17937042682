"""One page has the metrics of all workers, whatever becomes of one of them."""

import asyncio
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from inventory_grpc.server.metrics_of_workers import metrics_of_workers
from inventory_grpc.settings import Settings
from tests.support.caller import adding, calling
from tests.support.scraping import ACCEPT, Family, get, page_address, page_of, read, value_of
from tests.support.server_process import ServerProcess
from tests.support.waiting import eventually
from tests.support.workers import reaching_each, said, supervised, workers_of

HANDLED = "grpc_server_handled_total"
UP = "inventory_worker_up"
RESTARTS = "inventory_worker_restarts_total"

Page = dict[str, Family]
ByWorker = dict[str, float]


@pytest.fixture
async def server(path: Path, tmp_path: Path) -> AsyncIterator[ServerProcess]:
    """Serve with two workers."""
    options = ("--metrics-listen", "127.0.0.1:0")
    with supervised(path, tmp_path / "server.log", *options) as server:
        await server.address()
        yield server


async def _page_when(address: str, holds: Callable[[ByWorker, ByWorker], bool]) -> Page:
    """Return the page once *holds* of which workers answer, and of how often each was replaced."""
    async with asyncio.timeout(30):
        while True:
            page = await page_of(address)
            if holds(*(_by_worker(page, name) for name in (UP, RESTARTS))):
                return page
            await asyncio.sleep(0.05)


def _by_worker(page: Page, name: str) -> ByWorker:
    return {sample.labels["worker"]: sample.value for sample in page[name].samples}


def _workers_in(page: Page, name: str) -> set[str]:
    return {sample.labels["worker"] for sample in page[name].samples}


async def test_each_worker_has_its_own_samples_which_are_not_added_up(
    server: ServerProcess,
) -> None:
    async with reaching_each(await server.address()) as callers:
        for times, caller in enumerate(callers, 1):
            for _ in range(times):
                await caller.commands.AddStock(adding(1))
    page = await page_of(await page_address(server))
    counts = [
        value_of(page, HANDLED, worker=worker, grpc_method="AddStock", grpc_code="OK")
        for worker in ("1", "2")
    ]
    assert sorted(counts) == [1, 2]
    assert _workers_in(page, "process_resident_memory_bytes") == {"1", "2"}
    for form in ("text/plain", ACCEPT):
        text = (await get(await page_address(server), accept=form)).text
        assert text.count("# TYPE inventory_head_position gauge") == 1


async def test_a_killed_worker_begins_anew_and_the_others_go_on_counting(
    server: ServerProcess,
) -> None:
    """A rate of each worker, added up, does not jump: no counter of another one has fallen."""
    async with reaching_each(await server.address()) as callers:
        for caller in callers:
            await caller.commands.AddStock(adding(1))
    address = await page_address(server)
    before = await page_of(address)
    workers_of(server)[0].kill()
    page = await _page_when(
        address, lambda up, restarts: all(up.values()) and sum(restarts.values()) == 1
    )
    [killed] = [worker for worker, times in _by_worker(page, RESTARTS).items() if times]
    for sample in before[HANDLED].samples:
        if sample.labels["worker"] != killed:
            assert value_of(page, HANDLED, **sample.labels) >= sample.value
    assert value_of(page, HANDLED, worker=killed, grpc_method="AddStock") == 0


async def test_a_stopped_worker_is_left_out_after_a_second_and_said_to_be_down(
    server: ServerProcess,
) -> None:
    address = await page_address(server)
    stopped = workers_of(server)[0]
    stopped.send_signal(signal.SIGSTOP)
    try:
        page = read((await get(address, accept=ACCEPT)).text)
    finally:
        stopped.send_signal(signal.SIGCONT)
    up = _by_worker(page, UP)
    assert sorted(up.values()) == [0, 1]
    assert _workers_in(page, HANDLED) == {worker for worker, is_up in up.items() if is_up}
    await _page_when(address, lambda up, restarts: all(up.values()) and not any(restarts.values()))


def _too_long(folder: Path) -> dict[str, str]:
    """Return an environment whose temporary folder has too long a path for a socket."""
    long = folder / ("x" * 100)
    long.mkdir()
    return {"TMPDIR": str(long)}


async def test_by_default_workers_serve_without_metrics_where_they_cannot_have_sockets(
    path: Path, tmp_path: Path
) -> None:
    log, options = tmp_path / "server.log", ("--metrics-listen", "auto")
    with supervised(path, log, *options, environment=_too_long(tmp_path)) as server:
        async with calling(await server.address()) as caller:
            await caller.commands.AddStock(adding(1))
        [warning] = said(server, "metrics are not served")
    assert warning.endswith("AF_UNIX path too long")


async def test_an_address_of_metrics_that_was_named_ends_the_start_where_workers_have_no_sockets(
    path: Path, tmp_path: Path
) -> None:
    log, options = tmp_path / "server.log", ("--metrics-listen", "127.0.0.1:0")
    with supervised(path, log, *options, environment=_too_long(tmp_path)) as server:
        assert await server.ended() == 1
    text = log.read_text("utf-8")
    assert "error: metrics_listen: the temporary folder cannot have the sockets" in text
    assert "AF_UNIX path too long; set TMPDIR to" in text


@pytest.mark.parametrize("listen", ["auto", "127.0.0.1:0"])
async def test_a_missing_temporary_folder_is_named_as_the_cause(
    listen: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setattr(tempfile, "_candidate_tempdir_list", lambda: [str(tmp_path / "missing")])
    cause = "sockets of workers: No usable temporary directory found"
    serving = metrics_of_workers(Settings(metrics_listen=listen), {1: 0, 2: 0})
    if listen == "auto":
        async with serving as folder:
            assert folder is None
        assert cause in caplog.text
    else:
        with pytest.raises(OSError, match=cause):
            await serving.__aenter__()


async def test_a_worker_is_replaced_although_the_folder_of_sockets_was_removed(
    path: Path, tmp_path: Path
) -> None:
    """Programs that tidy up remove old files of temporary folders."""
    options = ("--metrics-listen", "127.0.0.1:0")
    environment = {"TMPDIR": str(tmp_path)}
    with supervised(path, tmp_path / "log", *options, environment=environment) as server:
        await server.address()
        shutil.rmtree(_only_folder_in(tmp_path))
        workers_of(server)[0].kill()
        await eventually(lambda: len(said(server, " serves on ")) == 3)
        [warning] = said(server, "metrics are not served on unix:")
        assert warning.endswith("No such file or directory")
        text = (await get(await page_address(server))).text
    assert all(f'{UP}{{worker="{worker}"}} 0' in text for worker in (1, 2))


def _only_folder_in(place: Path) -> Path:
    [folder] = place.glob("inventory-*")
    return folder
