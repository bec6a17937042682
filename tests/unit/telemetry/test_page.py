"""The page of metrics answers a scraper, whatever other connections do."""

import asyncio
import gc
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, ExitStack, suppress
from pathlib import Path

import pytest

from inventory_grpc.telemetry import page as module
from inventory_grpc.telemetry.page import MAX_CONNECTIONS, MAX_HEADER, Encryption, Page, Rendered
from tests.support.certificates import Issued
from tests.support.loops import factory
from tests.support.scraping import get
from tests.support.waiting import eventually

IDLE = 200
REQUEST = b"GET /metrics HTTP/1.1\r\n\r\n"
TOGETHER = 90  # fewer than wait in the backlog of a listening socket


class Serving:
    """A page on a port of its own."""

    def __init__(
        self, *, tokens: Sequence[str | None] = (None,), encryption: Encryption | None = None
    ) -> None:
        self.rendering = asyncio.Event()
        self.rendering.set()
        self.page = Page(self._render, lambda header, _: header in tokens, encryption)

    async def _render(self, accept: str) -> Rendered:
        await self.rendering.wait()
        if accept == "trouble":
            raise ValueError(accept)
        return Rendered("text/plain", b"up 1\n" * 10_000)

    async def start(self) -> str:
        self.server = await asyncio.start_server(self.page.accept, "127.0.0.1", 0)
        return f"127.0.0.1:{self.server.sockets[0].getsockname()[1]}"


@pytest.fixture
async def serving() -> AsyncIterator[Serving]:
    serving = Serving()
    yield serving
    serving.server.close()
    serving.page.close()


async def test_a_scraper_gets_the_whole_page_and_the_connection_is_closed(
    serving: Serving,
) -> None:
    answer = await get(await serving.start())
    assert answer.status == 200
    assert answer.text == "up 1\n" * 10_000
    assert answer.headers["content-length"] == str(len(answer.text))
    assert answer.headers["connection"] == "close"


async def test_other_pages_other_methods_and_trouble_are_answered_by_their_status(
    serving: Serving, caplog: pytest.LogCaptureFixture
) -> None:
    address = await serving.start()
    assert (await get(address, "/")).status == 404
    assert (await get(address, "/metrics?name=up")).status == 200
    assert (await get(address, method="POST")).status == 405
    assert (await get(address, accept="trouble")).status == 500
    assert "internal error" in caplog.text
    assert (await get(address)).status == 200


async def test_without_the_right_header_the_page_is_not_rendered() -> None:
    serving = Serving(tokens=["Bearer right"])
    serving.rendering.clear()
    address = await serving.start()
    for answer in (await get(address), await get(address, authorization="Bearer wrong")):
        assert (answer.status, answer.headers["www-authenticate"]) == (401, "Bearer")
    serving.rendering.set()
    assert (await get(address, authorization="Bearer right")).status == 200
    serving.server.close()


async def _idle(address: str, stack: AsyncExitStack) -> asyncio.StreamReader:
    host, _, port = address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    stack.callback(lambda: writer.transport.abort())  # noqa: PLW0108  it keeps the writer
    return reader


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have no connection closed for its age, however long others take to come."""
    monkeypatch.setattr(module, "SECONDS", 600.0)


@pytest.mark.usefixtures("patient")
async def test_idle_connections_are_few_and_leave_room_for_a_scraper(serving: Serving) -> None:
    address = await serving.start()
    async with AsyncExitStack() as stack:
        closed = IDLE - MAX_CONNECTIONS
        readers = [await _idle(address, stack) for _ in range(IDLE)]
        await eventually(lambda: sum(one.at_eof() for one in readers) == closed)
        assert len(serving.page._open) == MAX_CONNECTIONS
        assert (await get(address)).status == 200


def _contexts(folder: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Return the TLS contexts of a server, and of a scraper that trusts it."""
    chain, key, issued = folder / "chain.pem", folder / "key.pem", Issued.of()
    issued.write(chain, key)
    encryption = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    encryption.load_cert_chain(chain, key)
    return encryption, ssl.create_default_context(cadata=issued.pem().decode())


@pytest.mark.usefixtures("patient")
async def test_an_encrypted_connection_is_closed_when_the_page_is_sent(tmp_path: Path) -> None:
    encryption, trusting = _contexts(tmp_path)
    encrypted = Serving(encryption=lambda: encryption)
    address = (await encrypted.start()).replace("127.0.0.1", "localhost")
    host, _, port = address.rpartition(":")
    for pieces in ([REQUEST], [REQUEST[:9], REQUEST[9:]], [*REQUEST.partition(b" ")]):
        async with asyncio.timeout(10):
            reader, writer = await asyncio.open_connection(host, int(port), ssl=trusting)
            for piece in pieces:
                writer.write(piece)
                await asyncio.sleep(0.02)  # the server reads each piece alone
            assert (await reader.read()).endswith(b"up 1\n" * 10_000)
            writer.transport.abort()
    encrypted.server.close()
    encrypted.page.close()


@pytest.mark.usefixtures("patient")
async def test_connections_in_a_tls_handshake_are_few_and_leave_room_for_a_scraper(
    tmp_path: Path,
) -> None:
    encryption, trusting = _contexts(tmp_path)
    encrypted = Serving(encryption=lambda: encryption)
    address = (await encrypted.start()).replace("127.0.0.1", "localhost")
    before = _descriptors()
    async with AsyncExitStack() as stack:
        closed = IDLE - MAX_CONNECTIONS
        readers = [await _idle(address, stack) for _ in range(IDLE)]
        await eventually(lambda: sum(one.at_eof() for one in readers) == closed)
        assert len(encrypted.page._open) == MAX_CONNECTIONS
        assert (await get(address, context=trusting)).text == "up 1\n" * 10_000
    await eventually(lambda: not encrypted.page._open)
    await eventually(lambda: _descriptors() == before)
    encrypted.server.close()


async def test_a_tls_handshake_that_does_not_end_is_closed_after_its_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "SECONDS", 0.1)
    encrypted = Serving(encryption=lambda: ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))
    async with AsyncExitStack() as stack:
        reader = await _idle(await encrypted.start(), stack)
        async with asyncio.timeout(10):
            assert await reader.read() == b""
    assert not encrypted.page._open
    encrypted.server.close()


@pytest.mark.usefixtures("patient")
async def test_connections_that_arrive_together_are_closed_too(serving: Serving) -> None:
    host, _, port = (await serving.start()).rpartition(":")
    with ExitStack() as stack:
        # while the event loop does not run, all of them wait to be accepted
        for _ in range(TOGETHER):
            stack.enter_context(socket.create_connection((host, int(port))))
        before = _descriptors()
        await eventually(lambda: len(serving.page._open) == MAX_CONNECTIONS)
        await eventually(lambda: _descriptors() == before + MAX_CONNECTIONS)


def _descriptors() -> int:
    return len([*Path("/dev/fd").iterdir()])


async def test_an_idle_connection_is_closed_after_its_time(
    serving: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SECONDS", 0.1)
    async with AsyncExitStack() as stack:
        reader = await _idle(await serving.start(), stack)
        async with asyncio.timeout(10):
            assert await reader.read() == b""
    assert not serving.page._open


async def test_an_endless_header_is_cut(serving: Serving) -> None:
    host, _, port = (await serving.start()).rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    async with asyncio.timeout(10):
        with suppress(ConnectionError):
            while not reader.at_eof():
                writer.write(b"a: b\r\n" * MAX_HEADER)
                await writer.drain()
                await asyncio.sleep(0)
    writer.transport.abort()
    await eventually(lambda: not serving.page._open)


async def test_a_scraper_that_reads_nothing_is_dropped(
    serving: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SECONDS", 0.2)
    monkeypatch.setattr(
        serving.page, "_render", lambda _: asyncio.sleep(0, Rendered("text/plain", b"x" * 2**25))
    )
    host, _, port = (await serving.start()).rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port), limit=1)
    writer.write(b"GET /metrics HTTP/1.1\r\n\r\n")
    await eventually(lambda: len(serving.page._open) == 1)
    await eventually(lambda: not serving.page._open)
    writer.transport.abort()
    assert not reader.at_eof()


async def _reset_while_rendering() -> list[object]:
    """Reset a connection while its page is rendered; return what is reported to the loop."""
    reported: list[object] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: reported.append(context))
    serving = Serving()
    host, _, port = (await serving.start()).rpartition(":")
    serving.rendering.clear()
    with socket.socket() as scraper:
        scraper.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        scraper.connect((host, int(port)))
        scraper.send(REQUEST)
        await eventually(lambda: len(serving.page._open) == 1 and not serving.page._waiting)
    await asyncio.sleep(0.05)  # the loop reads of the end
    serving.rendering.set()
    await eventually(lambda: not serving.page._open)
    gc.collect()  # a task that has failed reports it at its end
    serving.server.close()
    return reported


@pytest.mark.parametrize("name", ["asyncio", "uvloop"])
def test_a_scraper_that_is_gone_before_its_page_is_no_error(name: str) -> None:
    with asyncio.Runner(loop_factory=factory(name)) as runner:
        assert not runner.run(_reset_while_rendering())


async def test_busy_connections_are_not_closed_for_another(serving: Serving) -> None:
    address = await serving.start()
    serving.rendering.clear()
    scrapes = [asyncio.create_task(get(address)) for _ in range(MAX_CONNECTIONS)]
    await eventually(
        lambda: len(serving.page._open) == MAX_CONNECTIONS and not serving.page._waiting
    )
    async with AsyncExitStack() as stack:
        reader = await _idle(address, stack)
        async with asyncio.timeout(10):
            with suppress(ConnectionError):
                assert await reader.read() == b""
    serving.rendering.set()
    assert {(await scrape).status for scrape in scrapes} == {200}
