"""The console lets nobody see or do more than they may: each line of the table is a test."""

import asyncio
import json
import ssl
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Final

import httpx
import pytest
from starlette.requests import HTTPConnection

from inventory_grpc.client import SyncInventoryClient, Unauthenticated
from inventory_grpc.console import viewers
from inventory_grpc.console.options import Options
from inventory_grpc.console.streams import MAX_STREAMS
from inventory_grpc.console.viewers import COOKIE, MAX_SESSIONS, SESSION_SECONDS, Viewers
from inventory_grpc.testing import InventoryServer
from tests.support.certificates import Issued
from tests.support.console import ConsoleProcess, console_process
from tests.support.keyring import Keyring
from tests.support.server_process import command_line

HEADERS: Final = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
        "img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}
SIZE: Final = 16_384


class Keys:
    """The tokens of a server whose callers have other roles and stores."""

    def __init__(self, folder: Path) -> None:
        self.ring = Keyring(folder / "callers.toml")
        self.reader = self.ring.add("ana", "reader", stores=["lisbon"])
        self.operator = self.ring.add("ben", "operator")
        self.revoked = self.ring.add("dora", "reader")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("signed")
    Issued.of().write(folder / "chain.pem", folder / "key.pem")
    return folder


@pytest.fixture(scope="module")
def keys(folder: Path) -> Keys:
    return Keys(folder)


@pytest.fixture(scope="module")
def guarded(keys: Keys) -> Iterator[InventoryServer]:
    with InventoryServer(callers=str(keys.ring.path)) as running:
        with SyncInventoryClient(running.address, token=keys.operator) as shop:
            for store in ("lisbon", "porto"):
                shop.add_stock(product_id="kettle", store_id=store, quantity=5)
        yield running


@pytest.fixture(scope="module")
def outside(guarded: InventoryServer, folder: Path) -> Iterator[ConsoleProcess]:
    """Return a console that other machines can reach."""
    with console_process(guarded.address, folder, "--write", *tls(folder)) as running:
        yield running


def tls(folder: Path) -> list[str]:
    files = ["--tls-certificate", str(folder / "chain.pem"), "--tls-key", str(folder / "key.pem")]
    return [*files, "--listen", "0.0.0.0:0", "--name", "localhost"]


@pytest.fixture
def person(outside: ConsoleProcess, folder: Path) -> Iterator[httpx.Client]:
    """Somebody with a browser on another machine, who has not signed in."""
    port = outside.url().rpartition(":")[2]
    trust = ssl.create_default_context(cafile=folder / "chain.pem")
    with httpx.Client(base_url=f"https://localhost:{port}", verify=trust, timeout=20) as client:
        yield client


def send(client: httpx.Client, path: str, body: object, **headers: str) -> httpx.Response:
    origin = str(client.base_url).rstrip("/")
    return client.post(
        path, json=body, headers={"origin": origin, "sec-fetch-site": "same-origin", **headers}
    )


def sign_in(client: httpx.Client, token: str) -> httpx.Response:
    return send(client, "/api/sign-in", {"token": token})


def added(store: str) -> dict[str, object]:
    return {
        "product_id": "kettle",
        "store_id": store,
        "expected_version": 1,
        "quantity": 1,
        "reason": "try",
        "request_id": f"try-{store}",
        "dry_run": True,
    }


# Who may look


def test_by_default_it_listens_on_loopback() -> None:
    from inventory_grpc.cli.console import DEFAULT_LISTEN  # noqa: PLC0415  beside what it is for

    assert DEFAULT_LISTEN == "127.0.0.1:8095"


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--listen", "0.0.0.0:0"], "--tls-certificate"),
        (["--listen", "192.0.2.1:0", "--write"], "--tls-certificate"),
        (["--tls-certificate", "chain.pem"], "one needs the other"),
        (
            ["--listen", "0.0.0.0:0", "--tls-certificate", "chain.pem", "--tls-key", "key.pem"],
            "--name",
        ),
        (
            ["--tls-certificate", "chain.pem", "--tls-key", "key.pem", "--token-file", "token"],
            "--token-file",
        ),
        (["--listen", "8095"], "HOST:PORT"),
        (["--token-file", "token", "--server", "192.0.2.1:50051"], "without encryption"),
    ],
    ids=str,
)
def test_it_does_not_start_where_others_could_look_unknown(
    folder: Path, options: list[str], told: str
) -> None:
    (folder / "token").write_text("t" * 32)
    named = [str(folder / one) if (folder / one).exists() else one for one in options]
    done = command_line("console", *named)
    assert done.returncode == 1
    assert told in " ".join(done.stderr.split())


def test_off_loopback_nobody_sees_anything_before_a_sign_in(person: httpx.Client) -> None:
    assert person.get("/").status_code == 200
    assert person.get("/api/session").json()["may_look"] is False
    for path in ("/api/stocks", "/api/server", "/api/events", "/events"):
        assert person.get(path).status_code == 401
    assert send(person, "/api/add", added("lisbon")).status_code == 401


def test_a_wrong_token_does_not_sign_in(person: httpx.Client) -> None:
    for token in ("x" * 32, "", "with space", 7):
        answer = send(person, "/api/sign-in", {"token": token})
        assert answer.status_code in {400, 401}
        assert "set-cookie" not in answer.headers
    assert person.get("/api/stocks").status_code == 401


def test_each_call_is_that_of_the_caller_who_signed_in(person: httpx.Client, keys: Keys) -> None:
    assert sign_in(person, keys.reader).status_code == 200
    assert [one["store_id"] for one in person.get("/api/stocks").json()["stocks"]] == ["lisbon"]
    for path in ("/api/stock?product=kettle&store=porto", "/api/server"):
        assert person.get(path).json()["reason"] == "PERMISSION_DENIED"
    assert send(person, "/api/add", added("lisbon")).status_code == 403

    assert sign_in(person, keys.operator).status_code == 200
    assert len(person.get("/api/stocks").json()["stocks"]) == 2
    form = {**added("porto"), "dry_run": False}
    assert send(person, "/api/add", form).status_code == 200
    last = person.get("/api/events?newest_first=1").json()["events"][0]
    assert (last["actor"], last["reason"]) == ("ben", "try")


def test_the_events_are_those_that_the_caller_may_see(person: httpx.Client, keys: Keys) -> None:
    sign_in(person, keys.reader)
    with person.stream("GET", "/events?after=0") as stream:
        first = next(line for line in stream.iter_lines() if '"events"' in line)
    events = json.loads(first.removeprefix("data: "))["events"]
    assert {event["store_id"] for event in events} == {"lisbon"}


def test_the_cookie_is_for_this_host_over_tls_and_no_script_reads_it(
    person: httpx.Client, keys: Keys
) -> None:
    header = sign_in(person, keys.reader).headers["set-cookie"]
    value, *attributes = header.split("; ")
    assert value.startswith("__Host-")
    assert {one.lower() for one in attributes} == {
        "httponly",
        "max-age=28800",
        "path=/",
        "samesite=strict",
        "secure",
    }
    assert keys.reader not in header


def test_who_signs_out_is_out(person: httpx.Client, keys: Keys) -> None:
    sign_in(person, keys.reader)
    kept = person.cookies[COOKIE]
    assert send(person, "/api/sign-out", {}).status_code == 200
    person.cookies.set(COOKIE, kept, domain="localhost.local", path="/")
    assert person.get("/api/stocks", headers={"cookie": f"{COOKIE}={kept}"}).status_code == 401


def test_a_token_that_is_taken_back_ends_the_session(person: httpx.Client, keys: Keys) -> None:
    assert sign_in(person, keys.revoked).status_code == 200
    with person.stream("GET", "/events") as stream:
        lines = stream.iter_lines()
        assert next(lines)
        keys.ring.drop_first_token("dora")
        assert any(line == "event: refused" for line in lines), "the stream ends, too"
    assert person.get("/api/stocks").status_code == 401


async def test_a_session_ends_after_eight_hours(guarded: InventoryServer, keys: Keys) -> None:
    now = [1_000.0]
    options = Options("localhost", 0, True, guarded.address, tls_certificate=Path("c"))  # noqa: FBT003  as read
    people = Viewers(options, clock=lambda: now[0])
    cookie = await people.sign_in(keys.reader)
    viewer = await people.of(request_with(cookie))
    now[0] += SESSION_SECONDS - 1
    assert await people.of(request_with(cookie)) is viewer
    now[0] += 1
    assert not people.is_here(viewer), "its open pages end"
    with pytest.raises(viewers.SignInFirst):
        await people.of(request_with(cookie))
    assert SESSION_SECONDS == 8 * 3_600
    await people.close()


async def test_the_oldest_session_ends_when_there_are_too_many(
    guarded: InventoryServer, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert MAX_SESSIONS == 100
    monkeypatch.setattr(viewers, "MAX_SESSIONS", 2)
    options = Options("localhost", 0, True, guarded.address, tls_certificate=Path("c"))  # noqa: FBT003  as read
    people = Viewers(options)
    first, second, third = [await people.sign_in(keys.reader) for _ in range(3)]
    with pytest.raises(viewers.SignInFirst):
        await people.of(request_with(first))
    assert await people.of(request_with(second)) is not await people.of(request_with(third))
    await people.close()


def request_with(cookie: str) -> HTTPConnection:
    header = (b"cookie", f"{COOKIE}={cookie}".encode())
    return HTTPConnection({"type": "http", "headers": [header]})


async def test_a_server_that_knows_no_callers_is_not_opened_to_others(
    server: InventoryServer,
) -> None:
    options = Options("localhost", 0, True, server.address, tls_certificate=Path("c"))  # noqa: FBT003  as read
    people = Viewers(options)
    with pytest.raises(viewers.OpenServer):
        await people.sign_in("x" * 32)
    await people.close()


async def test_no_error_tells_the_token(guarded: InventoryServer) -> None:
    options = Options("localhost", 0, True, guarded.address, tls_certificate=Path("c"))  # noqa: FBT003  as read
    people = Viewers(options)
    with pytest.raises(Unauthenticated) as refused:
        await people.sign_in("secret-" * 4)
    assert "secret" not in str(refused.value)
    await people.close()


# XSS


@pytest.mark.parametrize(
    "path", ["/", "/static/app.js", "/favicon.ico", "/api/session", "/api/stocks?x=1", "/nothing"]
)
def test_every_answer_has_the_headers(http: httpx.Client, path: str) -> None:
    answer = http.get(path)
    assert {name: answer.headers[name] for name in HEADERS} == HEADERS


def test_refusals_and_streams_have_the_headers_too(http: httpx.Client) -> None:
    refused = http.get("/", headers={"host": "evil.example"})
    with http.stream("GET", "/events") as stream:
        for answer in (refused, stream, http.post("/api/add")):
            assert {name: answer.headers[name] for name in HEADERS} == HEADERS


def test_no_script_makes_elements_of_text() -> None:
    static = Path(viewers.__file__).with_name("static")
    scripts = [path.read_text("utf-8") for path in static.glob("*.js")]
    assert len(scripts) > 5
    for means in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("):
        assert not any(means in script for script in scripts)
    page = (static / "index.html").read_text("utf-8")
    for means in ("<style", " style=", " onclick=", "http:", "https:", "//"):
        assert means not in page


# CSRF and DNS rebinding


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:8095", "127.0.0.1.evil.example", "127.0.0.1@evil.example", "["],
)
def test_another_host_is_refused(http: httpx.Client, host: str) -> None:
    for path in ("/", "/api/stocks", "/events"):
        assert http.get(path, headers={"host": host}).status_code == 400


@pytest.mark.parametrize("host", ["localhost:8095", "LOCALHOST", "[::1]:8095", "127.0.0.1"])
def test_the_names_of_this_machine_are_its_hosts(http: httpx.Client, host: str) -> None:
    assert http.get("/api/session", headers={"host": host}).status_code == 200


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"origin": "https://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": ""}, 403),
        ({"origin": "http://localhost:1"}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
        ({"sec-fetch-site": "none"}, 403),
        ({"content-type": "text/plain"}, 415),
        ({"content-type": "application/x-www-form-urlencoded"}, 415),
    ],
    ids=str,
)
def test_another_page_changes_nothing(
    http: httpx.Client, shop: SyncInventoryClient, headers: dict[str, str], status: int
) -> None:
    before = shop.get_server_info().head_position
    form = {**added("lisbon"), "expected_version": 0, "dry_run": False}
    assert send(http, "/api/add", form, **headers).status_code == status
    assert shop.get_server_info().head_position == before


def test_a_page_without_these_headers_changes_nothing(
    http: httpx.Client, shop: SyncInventoryClient
) -> None:
    before = shop.get_server_info().head_position
    form = {**added("lisbon"), "expected_version": 0, "dry_run": False}
    for left_out in ("origin", "sec-fetch-site"):
        origin = str(http.base_url).rstrip("/")
        headers = {"origin": origin, "sec-fetch-site": "same-origin"}
        del headers[left_out]
        assert http.post("/api/add", json=form, headers=headers).status_code == 403
    assert http.get("/api/add", params={"quantity": 1}).status_code == 405
    assert http.put("/api/add", json=form).status_code == 405
    assert shop.get_server_info().head_position == before
    sent = send(http, "/api/add", form)
    assert sent.status_code == 200, "as the console's own page sends it, it is recorded"


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_another_page_reads_nothing(http: httpx.Client, site: str) -> None:
    for path in ("/api/stocks", "/events", "/static/app.js"):
        assert http.get(path, headers={"sec-fetch-site": site}).status_code == 403
    assert http.get("/", headers={"sec-fetch-site": site}).status_code == 200, (
        "a link may lead here"
    )


def test_a_request_is_bounded(http: httpx.Client) -> None:
    assert send(http, "/api/add", {"reason": "x" * SIZE}).status_code == 413
    with suppress(httpx.NetworkError, httpx.RemoteProtocolError):  # it may be cut off at once
        assert http.get("/", headers={"x": "y" * 1_000_000}).status_code == 400
    chunks = iter([b'{"reason": "', b'x"}'])
    origin = str(http.base_url).rstrip("/")
    headers = {"origin": origin, "sec-fetch-site": "same-origin"}
    headers["content-type"] = "application/json"
    assert http.post("/api/add", content=chunks, headers=headers).status_code == 411


@pytest.mark.parametrize(
    "query", ["?product_id=kettle", "?max_available=x", "?low=2", "?page_size=1000", "?state=OPEN"]
)
def test_a_wrong_parameter_is_refused(http: httpx.Client, query: str) -> None:
    name = "reservations" if "state" in query else "stocks"
    answer = http.get(f"/api/{name}{query}")
    assert answer.status_code == 400
    assert answer.json()["message"]


def test_a_list_has_at_most_a_hundred_rows(http: httpx.Client, shop: SyncInventoryClient) -> None:
    for number in range(101):
        shop.add_stock(product_id=f"mug-{number}", store_id="lisbon", quantity=1)
    page = http.get("/api/stocks").json()
    assert len(page["stocks"]) == 100
    assert page["next_page_token"]


# Many tabs


def test_many_tabs_share_one_subscription(tmp_path: Path) -> None:
    with (
        InventoryServer(max_streams=1) as server,
        console_process(server.address, tmp_path) as console,
        httpx.Client(base_url=console.url(), timeout=20) as http,
        ExitStack() as open_streams,
    ):
        tabs = [
            open_streams.enter_context(http.stream("GET", "/events")).iter_lines()
            for _ in range(10)
        ]
        for tab in tabs:
            assert next(line for line in tab if line.startswith("id: "))
        with server.client() as shop:
            position = shop.add_stock(product_id="mug", store_id="lisbon", quantity=1).position
        for tab in tabs:
            assert next(line for line in tab if line == f"id: {position}")


def test_streams_are_bounded_and_a_closed_one_makes_room(
    console: ConsoleProcess, http: httpx.Client
) -> None:
    limits = httpx.Limits(max_connections=None)
    with (
        httpx.Client(base_url=console.url(), timeout=20, limits=limits) as tabs,
        ExitStack() as stack,
    ):
        opened = [stack.enter_context(tabs.stream("GET", "/events")) for _ in range(MAX_STREAMS)]
        assert {one.status_code for one in opened} == {200}
        with tabs.stream("GET", "/events") as refused:
            assert refused.status_code == 503
            assert refused.headers["retry-after"]
        assert http.get("/api/session").status_code == 200
        opened[0].close()
        assert eventually_opens(tabs)
    assert MAX_STREAMS == 100


def eventually_opens(tabs: httpx.Client) -> bool:
    for _ in range(200):
        with tabs.stream("GET", "/events") as stream:
            if stream.status_code == 200:
                return True
        asyncio.run(asyncio.sleep(0.05))
    return False


@pytest.mark.parametrize("position", ["-1", "x", "1" * 30, "1.5"])
def test_a_wrong_position_is_refused(http: httpx.Client, position: str) -> None:
    assert http.get("/events", headers={"last-event-id": position}).status_code == 400
