"""A server in this process behind the gateway, and the troubles it may be in."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple, Never

import apsw
import httpx
import pytest

from inventory_grpc.application.ledger import batch
from inventory_grpc.application.ledger import loop as ledger
from inventory_grpc.application.ledger.workbook import Workbook
from inventory_grpc.domain.stock_commands import AddStock
from inventory_grpc.infrastructure import store
from inventory_grpc.presentation import server
from inventory_grpc.server.serve import serving
from inventory_grpc.settings import Settings
from tests.support import fault_vfs
from tests.support.fault_vfs import Faults, FaultyDatabase, faulty_file_system
from tests.support.gateway import SECONDS, Config, gateway
from tests.support.keyring import Keyring

LOOK_EVERY_SECONDS: Final = 0.02


class Call(NamedTuple):
    """A request, and the name of the caller whose token it shows."""

    method: str
    url: str
    body: object = None
    caller: str = "shop"
    headers: Mapping[str, str] = {}


DELIVER: Final = Call("POST", "/v1/products/pan/stocks/lisbon:add", {"quantity": 1})


class Gate:
    """A place in the server at which it waits while the gate is closed."""

    def __init__(self, point: str) -> None:
        self._point = point
        self.reached = asyncio.Event()
        self.opened = asyncio.Event()

    async def pause(self, point: str) -> None:
        if point == self._point:
            self.reached.set()
            await self.opened.wait()


@dataclass
class Shop:
    """A server, its callers, and its faults."""

    http: httpx.AsyncClient
    tokens: Mapping[str, str]
    faults: Faults
    patch: pytest.MonkeyPatch
    running: "asyncio.Task[None]"
    """The server."""
    stop: Callable[[], None]
    """Stop the server, and do not wait."""
    others: dict[str, httpx.Response] = field(default_factory=dict)
    """Answers to calls that a trouble has made by itself, by name."""

    def headers(self, call: Call) -> dict[str, str]:
        known = {"authorization": f"Bearer {self.tokens[call.caller]}"} if call.caller else {}
        return {**known, **call.headers}

    async def ask(self, call: Call) -> httpx.Response:
        method, url, body, _, _ = call
        return await self.http.request(method, url, json=body, headers=self.headers(call))

    async def deliver(self) -> httpx.Response:
        return await self.ask(DELIVER)

    async def recover(self) -> None:
        """End the faults of storage, and wait until the server writes again."""
        self.faults.mend()
        async with asyncio.timeout(SECONDS):
            while (await self.deliver()).is_error:  # noqa: ASYNC110  the server tells nobody
                await asyncio.sleep(LOOK_EVERY_SECONDS)


Trouble = Callable[[Shop], AbstractAsyncContextManager[None]]


@asynccontextmanager
async def no_trouble(_shop: Shop) -> AsyncIterator[None]:
    yield


@asynccontextmanager
async def crowded(shop: Shop) -> AsyncIterator[None]:
    """Have the caller read as many subscriptions as it may."""
    call = Call("GET", "/v1/events:subscribe")
    async with shop.http.stream(call.method, call.url, headers=shop.headers(call)) as stream:
        received = stream.aiter_lines()
        assert await anext(received)
        yield


@asynccontextmanager
async def strict(shop: Shop) -> AsyncIterator[None]:
    """Have the server require a catalogue, as the setting does."""
    with shop.patch.context() as patch:
        always = property(lambda _: True, lambda *_: None)
        patch.setattr(Workbook, "needs_catalogue", always, raising=False)
        yield


@asynccontextmanager
async def retired(shop: Shop) -> AsyncIterator[None]:
    """Have a store that is out of use."""
    for action, body in (("put", {"name": "Porto", "kind": "STORE_KIND_STORE"}), ("retire", {})):
        assert (await shop.ask(Call("POST", f"/v1/stores/porto:{action}", body))).is_success
    yield


@asynccontextmanager
async def buggy(shop: Shop) -> AsyncIterator[None]:
    def fail(*_: object) -> Never:
        raise ZeroDivisionError("a secret")

    with shop.patch.context() as patch:
        patch.setattr(batch, "PLAIN", frozenset())
        patch.setattr(AddStock, "decide", fail)
        yield


@asynccontextmanager
async def _failing_to_read(shop: Shop, error: type[apsw.Error]) -> AsyncIterator[None]:
    assert (await shop.deliver()).is_success, "after it, pages in memory are read again"
    shop.faults.fail(1, error, only="read", for_good=True)
    yield
    await shop.recover()


unreadable: Final[Trouble] = partial(_failing_to_read, error=apsw.IOError)
damaged: Final[Trouble] = partial(_failing_to_read, error=apsw.CorruptError)


@asynccontextmanager
async def unsynced(shop: Shop) -> AsyncIterator[None]:
    """Have the next commit fail."""
    shop.faults.fail(1, apsw.IOError, only="wal sync")
    yield
    await shop.recover()


@asynccontextmanager
async def _failing_to_write(shop: Shop, error: type[apsw.Error]) -> AsyncIterator[None]:
    """Have a write fail, after which the circuit breaker is open."""
    shop.faults.fail(1, error, for_good=True)
    assert (await shop.deliver()).status_code == 503
    yield
    await shop.recover()


broken: Final[Trouble] = partial(_failing_to_write, error=apsw.IOError)
read_only: Final[Trouble] = partial(_failing_to_write, error=apsw.ReadOnlyError)
full: Final[Trouble] = partial(_failing_to_write, error=apsw.FullError)


@asynccontextmanager
async def slow(shop: Shop) -> AsyncIterator[None]:
    """Have the next command answered only when it is over."""
    answers = Gate("before_ack")
    with shop.patch.context() as patch:
        patch.setattr(ledger, "pause", answers.pause)
        try:
            yield
        finally:
            answers.opened.set()


@asynccontextmanager
async def stopping(shop: Shop) -> AsyncIterator[None]:
    """Stop the server, and hold it where it refuses calls; one call is in the middle of it."""
    answers, stops = Gate("before_ack"), Gate("drain_4")
    shop.patch.setattr(ledger, "pause", answers.pause)
    shop.patch.setattr(server, "pause", stops.pause)
    held = asyncio.create_task(shop.deliver())
    try:
        await answers.reached.wait()
        shop.stop()
        await stops.reached.wait()
        yield
        stops.opened.set()
        shop.others["a server that stops in the middle"] = await held
    finally:
        stops.opened.set()
        answers.opened.set()
    await shop.running
    shop.others["no server"] = await shop.deliver()


def _one_look(config: Config) -> None:
    """Look for the health of the server once: a server that stops is still called."""
    [check] = config["static_resources"]["clusters"][0]["health_checks"]
    check.update(interval="3600s", no_traffic_interval="3600s")


@asynccontextmanager
async def open_shop(folder: Path) -> AsyncIterator[Shop]:
    """Run it with a stock of two kettles, after four events; cart-1 holds two more.

    Then a pan arrived, which the sixth event reversed.
    """
    keyring = Keyring(folder / "callers.toml")
    tokens = {
        "shop": keyring.add("shop", "operator"),
        "reader": keyring.add("reader", "reader", stores=["porto"]),
    }
    settings = Settings(
        listen="127.0.0.1:0",
        database=folder / "inventory.db",
        callers=keyring.path,
        max_streams=2,
        drain_seconds=0.1,
    )
    async with AsyncExitStack() as stack:
        faults = stack.enter_context(faulty_file_system())
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        patch.setattr(store, "Database", partial(FaultyDatabase, vfs=fault_vfs.NAME))
        serves, stop = asyncio.get_running_loop().create_future(), asyncio.Event()
        running = asyncio.create_task(_serve(settings, serves, stop))
        stack.push_async_callback(_wait, running)
        stack.callback(stop.set)
        address = await serves
        # It waits for the server, which is in this thread.
        started = await asyncio.to_thread(
            stack.enter_context, gateway(folder, [address], _one_look)
        )
        http = await stack.enter_async_context(
            httpx.AsyncClient(base_url=started.url, timeout=SECONDS, trust_env=False)
        )
        shop = Shop(http, tokens, faults, patch, running, stop.set)
        await _stock_up(shop)
        yield shop


async def _serve(settings: Settings, serves: "asyncio.Future[str]", stop: asyncio.Event) -> None:
    async with serving(settings) as served:
        serves.set_result(served.address)
        await stop.wait()


async def _wait(running: "asyncio.Task[None]") -> None:
    await asyncio.wait([running])


async def _stock_up(shop: Shop) -> None:
    line: dict[str, Any] = {"product_id": "kettle", "store_id": "lisbon", "quantity": 2}
    stock = "/v1/products/kettle/stocks/lisbon"
    for url, body in (
        (f"{stock}:add", {"quantity": 4, "request_id": "delivery-1"}),
        ("/v1/reservations", {"customer_id": "ana", "reservation_id": "cart-1", "lines": [line]}),
        ("/v1/reservations", {"customer_id": "ben", "reservation_id": "cart-2", "lines": [line]}),
        ("/v1/reservations/cart-2:release", {}),
        ("/v1/products/pan/stocks/lisbon:add", {"quantity": 1}),
        ("/v1/events/5:reverse", {"reason": "a typo"}),
    ):
        answer = await shop.ask(Call("POST", url, body))
        assert answer.is_success, answer.text
