"""The metrics of a real server are those of the handbook, and count what was done."""

import asyncio
import socket
import ssl
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import grpc.aio
import pytest

from inventory_grpc.bad_setting import BadSetting
from inventory_grpc.infrastructure.sqlite.footprint import Footprint
from inventory_grpc.server import metrics_page
from inventory_grpc.server.serve import serving
from inventory_grpc.settings import Settings
from inventory_grpc_protos.v1.events_pb2 import SubscribeRequest
from tests.e2e.test_refusals import REFUSALS
from tests.robustness.rpcs import BESIDE, OURS
from tests.support.caller import Caller, adding, batch, calling, line, refused, reserving
from tests.support.certificates import Issued
from tests.support.documents import ROOT, rows_of, text_of
from tests.support.keyring import Keyring
from tests.support.samples import SAMPLES
from tests.support.scraping import Family, get, page_address, page_of, value_of
from tests.support.server_process import ENVIRONMENT, ServerProcess, server_process
from tests.support.waiting import LOOK_EVERY_SECONDS, SECONDS, eventually

METRICS: Final = ROOT / "scripts/deploy/metrics/README.md"
LISTEN: Final = ("--metrics-listen", "127.0.0.1:0")
STARTED: Final = "grpc_server_started_total"
HANDLED: Final = "grpc_server_handled_total"
REFUSED: Final = (OSError, IndexError)
"""Errors of a connection that is closed in the handshake, or without an answer."""

MOST_SERIES: Final = 1_000 + 30 * (len(OURS) - 19)
"""A thousand for the first 19 rpcs, and 30 for each one that was added later."""


class Shop:
    """A server in a process of its own, a caller, and its metrics."""

    def __init__(self, server: ServerProcess, caller: Caller, page: str) -> None:
        self.server = server
        self.caller = caller
        self.page = page

    async def metrics(self, open_calls: int = 0) -> dict[str, Family]:
        """Return the metrics once all calls but *open_calls* are counted as ended.

        A caller has its answer a moment before the server counts the call.
        """
        async with asyncio.timeout(SECONDS):
            while True:
                page = await page_of(self.page)
                if _total(page, STARTED) - _total(page, HANDLED) <= open_calls:
                    return page
                await asyncio.sleep(LOOK_EVERY_SECONDS)


def _total(page: dict[str, Family], name: str) -> float:
    return sum(sample.value for sample in page[name].samples)


@pytest.fixture
async def shop(path: Path, tmp_path: Path) -> AsyncIterator[Shop]:
    async with (
        server_process(path, tmp_path / "server.log", *LISTEN) as server,
        calling(await server.address()) as caller,
    ):
        yield Shop(server, caller, await page_address(server))


@pytest.mark.parametrize("version", ["latest", "1.x", "²", "", "1.0.0.0"])
async def test_a_scraper_that_asks_for_an_unknown_version_gets_the_page(
    shop: Shop, version: str
) -> None:
    for kind in ("text/plain", "application/openmetrics-text"):
        answer = await get(shop.page, accept=f"{kind}; version={version}")
        assert answer.status == 200
        assert "grpc_server_started_total{" in answer.text


async def test_every_metric_is_in_the_handbook_with_its_type_labels_and_meaning_and_no_other(
    path: Path, tmp_path: Path
) -> None:
    """A server with TLS and callers shows all there are."""
    chain, key = tmp_path / "chain.pem", tmp_path / "key.pem"
    issued = Issued.of()
    issued.write(chain, key)
    token = (keyring := Keyring(tmp_path / "callers.toml")).add("ana", "admin")
    settings = Settings(
        listen="localhost:0",
        database=path,
        metrics_listen="127.0.0.1:0",
        tls_certificate=chain,
        tls_key=key,
        callers=keyring.path,
    )
    async with serving(settings) as served:
        assert served.metrics is not None
        async with _secure(served.address, issued) as channel:
            [check] = [rpc for rpc in (*OURS, *BESIDE) if rpc.name == "GetServerInfo"]
            await check.answer(channel, b"", (("authorization", f"Bearer {token}"),))
        page = await page_of(served.metrics)
    assert rows_of(text_of(METRICS), "metric") == [
        [name, family.kind, _shown(family.labels() - {"worker", "le"}), family.help]
        for name, family in page.items()
    ]
    assert all("worker" in sample.labels for one in page.values() for sample in one.samples)
    for name, family in page.items():
        if name.startswith(("grpc", "inventory")):
            ending = name.removesuffix("_total").rpartition("_")[2]
            assert family.unit == (ending if ending in {"seconds", "bytes"} else "")


def _shown(labels: set[str]) -> str:
    return ", ".join(f"`{label}`" for label in sorted(labels)).strip("`")


def _secure(address: str, issued: Issued) -> grpc.aio.Channel:
    return grpc.aio.secure_channel(address, grpc.ssl_channel_credentials(issued.pem()))


async def test_calls_commands_events_and_followers_are_counted(shop: Shop) -> None:
    commands = shop.caller.commands
    for _ in range(2):
        await commands.AddStock(adding(5, request_id="delivery-1"))
    await refused(commands.ReserveStock(reserving(line(9))))
    following = shop.caller.events.Subscribe(SubscribeRequest())
    message: Any = await following.read()
    while not message.events:
        message = await following.read()
    page = await shop.metrics(open_calls=1)
    assert value_of(page, STARTED, grpc_method="AddStock") == 2
    assert value_of(page, HANDLED, grpc_method="AddStock", grpc_code="OK") == 2
    code = {"grpc_method": "ReserveStock", "grpc_code": "FailedPrecondition"}
    assert value_of(page, HANDLED, **code) == 1
    outcome = "inventory_commands_total"
    assert value_of(page, outcome, command="AddStock", outcome="recorded") == 1
    assert value_of(page, outcome, command="AddStock", outcome="replayed") == 1
    assert value_of(page, outcome, command="ReserveStock", outcome="insufficient_stock") == 1
    assert value_of(page, "inventory_events_recorded_total") == 1
    assert value_of(page, "inventory_events_recorded_total", fact="StockAdded") == 1
    assert value_of(page, "inventory_events_sent_total") == 1
    assert value_of(page, "inventory_subscriptions") == 1
    assert value_of(page, "inventory_subscription_lag_events") == 0
    assert value_of(page, "inventory_calls_in_flight", room="streams") == 1
    assert value_of(page, "inventory_head_position") == 1
    assert value_of(page, "inventory_worker_up", worker="1") == 1
    following.cancel()


async def test_commands_in_bulk_are_counted_one_by_one(shop: Shop) -> None:
    await shop.caller.commands.ExecuteBatch(batch(adding(5), adding(2), reserving(line(9))))
    page = await shop.metrics()
    assert value_of(page, HANDLED, grpc_method="ExecuteBatch", grpc_code="OK") == 1
    commands = "inventory_commands_total"
    assert value_of(page, commands, command="AddStock", outcome="recorded") == 2
    assert value_of(page, commands, command="ReserveStock", outcome="insufficient_stock") == 1


async def test_a_page_that_waits_for_a_disk_does_not_keep_the_process_from_its_exit(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, answered = threading.Event(), threading.Event()

    def hang(_: Footprint) -> None:
        asked.set()
        answered.wait()

    monkeypatch.setattr(Footprint, "disk", hang)
    before = {*threading.enumerate()}
    settings = Settings(listen="127.0.0.1:0", metrics_listen="127.0.0.1:0", database=path)
    async with serving(settings) as served:
        assert served.metrics is not None
        scrape = asyncio.create_task(get(served.metrics))
        await eventually(asked.is_set)
    left = {*threading.enumerate()} - before
    [hanging] = [thread for thread in left if thread.name.startswith("metrics")]
    assert hanging.daemon, "at its exit, Python waits for it"
    answered.set()
    scrape.cancel()
    await asyncio.wait([scrape])


async def test_every_call_in_the_log_is_counted_with_its_code(shop: Shop) -> None:
    for refusing in REFUSALS.values():
        with suppress(grpc.aio.AioRpcError):
            await refusing.call(shop.caller)
    page = await shop.metrics()
    counted = Counter[str]()
    for sample in page[HANDLED].samples:
        labels = sample.labels
        counted[f"/{labels['grpc_service']}/{labels['grpc_method']}"] += int(sample.value)

    def logged() -> Counter[str]:
        return Counter(entry["method"] for entry in shop.server.log() if entry["event"] == "call")

    await eventually(lambda: logged() == +counted)
    assert sum(counted.values()) == len(REFUSALS)


async def test_a_worker_shows_few_series_after_every_call_and_every_refusal(
    shop: Shop,
) -> None:
    channel = shop.caller.channel
    for rpc in (*OURS, *BESIDE):
        for request in (SAMPLES.get(rpc.name), None):
            for seconds in (5.0, 0.000_001):
                # gRPC itself sometimes cancels a call whose deadline is over at once
                with suppress(grpc.aio.AioRpcError, asyncio.CancelledError):
                    message = request.SerializeToString() if request else b"\xff"
                    await rpc.answer(channel, message, seconds=seconds)
    for refusing in REFUSALS.values():
        with suppress(grpc.aio.AioRpcError):
            await refusing.call(shop.caller)
    page = await shop.metrics()
    codes = {sample.labels["grpc_code"] for sample in page[HANDLED].samples if sample.value}
    assert len(codes) > 5
    assert sum(len(family.samples) for family in page.values()) < MOST_SERIES


async def test_the_page_is_encrypted_and_wants_a_token_where_others_can_reach_it(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metrics_page, "RELOAD_SECONDS", 0.05)
    chain, key = tmp_path / "chain.pem", tmp_path / "key.pem"
    first, second = Issued.of(), Issued.of()
    first.write(chain, key)
    keyring = Keyring(tmp_path / "callers.toml")
    token, limited = keyring.add("ana", "reader"), keyring.add("ben", "admin", stores=["lisbon"])
    settings = Settings(
        listen="127.0.0.1:0",
        database=path,
        metrics_listen="0.0.0.0:0",
        tls_certificate=chain,
        tls_key=key,
        callers=keyring.path,
    )
    async with serving(settings) as served:
        assert served.metrics is not None
        page = f"localhost:{served.metrics.rpartition(':')[2]}"
        trusting = ssl.create_default_context(cadata=first.pem().decode())
        for header in ("", "Bearer x", f"Bearer {limited}", token):
            assert (await get(page, context=trusting, authorization=header)).status == 401
        assert (await get(page, context=trusting)).status == 401
        authorization = f"Bearer {token}"
        answer = await get(page, context=trusting, authorization=authorization)
        assert answer.status == 200
        assert token not in answer.text
        with pytest.raises(REFUSED):
            await get(page, authorization=authorization)

        second.write(chain, key)
        renewed = ssl.create_default_context(cadata=second.pem().decode())
        async with asyncio.timeout(20):
            while True:
                with suppress(ssl.SSLError):
                    await get(page, context=renewed, authorization=authorization)
                    break


async def test_authorities_of_scrapers_are_those_of_the_file_also_after_it_is_replaced(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metrics_page, "RELOAD_SECONDS", 0.05)
    chain, key, authority = (tmp_path / name for name in ("chain.pem", "key.pem", "ca.pem"))
    server, first, second = Issued.of(), Issued.of(), Issued.of()
    server.write(chain, key)
    authority.write_bytes(first.pem())
    settings = Settings(
        listen="127.0.0.1:0",
        database=path,
        metrics_listen="0.0.0.0:0",
        tls_certificate=chain,
        tls_key=key,
        tls_client_ca=authority,
        allow_anonymous=True,
    )
    ours, theirs = (_showing(each, server, tmp_path) for each in (first, second))
    async with serving(settings) as served:
        assert served.metrics is not None
        page = f"localhost:{served.metrics.rpartition(':')[2]}"
        assert (await get(page, context=ours)).status == 200
        with pytest.raises(REFUSED):
            await get(page, context=theirs)
        authority.write_bytes(second.pem())
        async with asyncio.timeout(SECONDS):
            while True:
                with suppress(*REFUSED):
                    assert (await get(page, context=theirs)).status == 200
                    break
        with pytest.raises(REFUSED):
            await get(page, context=ours)


def _showing(caller: Issued, server: Issued, folder: Path) -> ssl.SSLContext:
    """Return the context of a caller that trusts *server*, and shows a certificate."""
    chain, key = folder / "caller.pem", folder / "caller-key.pem"
    caller.write(chain, key)
    context = ssl.create_default_context(cadata=server.pem().decode())
    context.load_cert_chain(chain, key)
    return context


def test_metrics_for_other_machines_need_encryption_and_callers_or_a_word() -> None:
    listen = "0.0.0.0:9464"
    with pytest.raises(BadSetting, match=r"^metrics_listen: .*INVENTORY_ALLOW_PLAINTEXT=1"):
        Settings(metrics_listen=listen)
    with pytest.raises(BadSetting, match=r"^metrics_listen: .*INVENTORY_ALLOW_ANONYMOUS=1"):
        Settings(metrics_listen=listen, allow_plaintext=True)
    Settings(metrics_listen=listen, allow_plaintext=True, allow_anonymous=True)


async def test_a_port_that_was_named_and_is_taken_ends_the_start(
    path: Path, tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        server = ServerProcess.begin(path, tmp_path / "log", "--metrics-listen", address)
        assert await server.ended() == 1
    said = server.log_file.read_text("utf-8")
    assert f"cannot listen on {address} for metrics: the port is in use" in said


async def test_where_the_default_port_is_taken_the_server_serves_without_metrics_and_warns(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        monkeypatch.setattr("inventory_grpc.settings.METRICS_ADDRESS", address)
        settings = Settings(listen="127.0.0.1:0", database=path, metrics_listen="auto")
        async with serving(settings) as served, calling(served.address) as caller:
            assert served.metrics is None
            await caller.commands.AddStock(adding(1))
    assert f"metrics are not served on {address}: the port is in use" in caplog.messages


@pytest.mark.parametrize("options", [(), ("--workers", "2")], ids=["one", "workers"])
def test_without_the_library_a_server_starts_and_names_the_extra_if_metrics_are_wanted(
    path: Path, options: tuple[str, ...]
) -> None:
    program = (
        "import sys; sys.modules['prometheus_client'] = None; "
        "from inventory_grpc.cli import main; main()"
    )
    command = [sys.executable, "-c", program, "serve", "--database", str(path), *options]
    asked = subprocess.run(
        [*command, "--listen", "127.0.0.1:0", *LISTEN],
        capture_output=True,
        check=False,
        env=ENVIRONMENT,
        text=True,
        timeout=60,
    )
    assert asked.returncode == 1
    assert "pip install 'inventory-grpc[metrics]'" in asked.stderr
    if options:
        return  # its workers would import the library
    with subprocess.Popen(
        [*command, "--listen", "127.0.0.1:0"], stderr=subprocess.PIPE, env=ENVIRONMENT, text=True
    ) as server:
        assert server.stderr is not None
        assert any(" on 127.0.0.1:" in line for line in server.stderr)
        server.terminate()


def test_make_run_serves_metrics_where_nothing_else_is_set() -> None:
    told = subprocess.run(
        ["make", "--dry-run", "--always-make", "run"],
        capture_output=True,
        check=True,
        cwd=ROOT,
        text=True,
    )
    assert "INVENTORY_METRICS_LISTEN=${INVENTORY_METRICS_LISTEN-auto} exec" in told.stdout
    assert "-e '.[metrics,console]'" in told.stdout
