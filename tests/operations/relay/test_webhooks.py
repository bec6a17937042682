"""Webhooks: at least once, in order, signed, and nothing skipped."""

import base64
import json
import random
import sqlite3
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from inventory_grpc.relay.place_file import read_place, write_place
from inventory_grpc.relay.signatures import read_secrets, signature
from inventory_grpc.relay.target import Place, Unfit
from inventory_grpc.relay.targets import Kept, target_of
from inventory_grpc.testing import InventoryServer
from tests.operations.relay.relays import Relay, add, eventually, log_of, page, page_port, selling
from tests.support.brokers import ProgramOnPort
from tests.support.effort import SEED, runs
from tests.support.server_process import ROOT

SECRET = "whsec_" + base64.b64encode(b"k" * 32).decode()
OTHER_SECRET = "whsec_" + base64.b64encode(b"o" * 32).decode()


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    file = tmp_path / "relay.secret"
    file.write_text(f"{SECRET}\n")
    return file


class Example:
    """The receiver in scripts/examples."""

    def __init__(self, folder: Path, secrets: Path) -> None:
        self._process = ProgramOnPort(folder)
        self._database = folder / "events.db"
        self._secrets = secrets
        self.url = f"http://127.0.0.1:{self._process.port}"

    def start(self) -> None:
        program = ROOT / "scripts/examples/receiver.py"
        options = self._database, self._secrets, self._process.port
        self._process.run(sys.executable, program, *options)

    def kill(self) -> None:
        self._process.kill()

    def ids(self) -> Sequence[str]:
        with closing(sqlite3.connect(self._database)) as database:
            return [one for (one,) in database.execute("SELECT event_id FROM events ORDER BY 1")]

    def positions(self) -> Sequence[int]:
        with closing(sqlite3.connect(self._database)) as database:
            query = "SELECT position FROM events ORDER BY position"
            return [one for (one,) in database.execute(query)]


@pytest.fixture
def example(tmp_path: Path, secrets: Path) -> Iterator[Example]:
    folder = tmp_path / "receiver"
    folder.mkdir()
    made = Example(folder, secrets)
    made.start()
    yield made
    made.kill()


@pytest.fixture
def server() -> Iterator[InventoryServer]:
    with InventoryServer() as made:
        yield made


@pytest.mark.parametrize("kept", ["by the receiver", "in a file"])
def test_kills_of_relay_and_receiver_lose_nothing_and_the_receiver_keeps_each_event_once(
    tmp_path: Path, server: InventoryServer, secrets: Path, example: Example, kept: str
) -> None:
    options = ["--secret-file", str(secrets)]
    if kept == "in a file":
        options += ["--place-file", str(tmp_path / "place")]
    plan = ["relay"] * runs(least=2, ci=4, deep=100) + ["receiver"] * runs(least=1, ci=1, deep=20)
    chance = random.Random(SEED)
    chance.shuffle(plan)
    with selling(server):
        relay = Relay(tmp_path, server, example.url, *options)
        for what in plan:
            time.sleep(chance.uniform(0.2, 1.5))
            if what == "receiver":
                example.kill()
                example.start()
            else:
                relay.kill()
                relay = Relay(tmp_path, server, example.url, *options)
        time.sleep(0.5)
        relay.kill()
    assert Relay(tmp_path, server, example.url, *options, "--until-head").ended() == 0
    with server.client() as shop:
        events = log_of(shop)
    assert example.positions() == [event.position for event in events]


class Received:
    """The batches that a receiver has had, which answers with a status that a test sets."""

    def __init__(self) -> None:
        self.status = 204
        self.positions: list[list[int]] = []
        self.signatures: list[str] = []


@contextmanager
def receiving(received: Received) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            received.positions.append([int(event["data"]["position"]) for event in body])
            received.signatures.append(self.headers["webhook-signature"])
            self.send_response(received.status)
            self.end_headers()

        def do_GET(self) -> None:
            self.send_response(405)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Write nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as made:
        thread = threading.Thread(target=made.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{made.server_address[1]}"
        finally:
            made.shutdown()
            thread.join()


def test_what_the_receiver_refuses_for_good_is_parked_and_told_and_never_skipped(
    tmp_path: Path, server: InventoryServer, secrets: Path
) -> None:
    received = Received()
    received.status = 422
    place = tmp_path / "place"
    options = ["--secret-file", str(secrets), "--place-file", str(place)]
    with server.client() as shop, receiving(received) as url:
        add(shop, 2)
        relay = Relay(tmp_path, server, url, *options, "--metrics-listen", "127.0.0.1:0")
        port = page_port(relay)
        eventually(lambda: "inventory_relay_parked 1.0" in page(port, "metrics")[1])
        status, why = page(port, "healthz")
        assert (status, "422 Unprocessable Entity: the events 1 to 2 are parked" in why) == (
            503,
            True,
        )
        add(shop, 1)
        assert not place.exists()
        received.status = 204
        eventually(lambda: page(port, "healthz")[0] == 200)
        assert received.positions[-1][-1] >= 2
        assert "inventory_relay_parked 0.0" in page(port, "metrics")[1]
        eventually(lambda: read_place(place).position == 3)
        assert relay.stop() == 0
    assert all(batch[0] == 1 for batch in received.positions if 2 in batch)
    assert received.positions[-1][-1] == 3


def test_while_a_secret_is_replaced_both_sign(
    tmp_path: Path, server: InventoryServer, secrets: Path
) -> None:
    received = Received()
    options = ["--secret-file", str(secrets), "--place-file", str(tmp_path / "place")]
    with server.client() as shop, receiving(received) as url:
        relay = Relay(tmp_path, server, url, *options)
        add(shop, 1)
        eventually(lambda: len(received.signatures) == 1)
        secrets.write_text(f"{SECRET}\n{OTHER_SECRET}\n")
        add(shop, 1)
        eventually(lambda: len(received.signatures) == 2)
        assert relay.stop() == 0
    assert [len(one.split()) for one in received.signatures] == [1, 2]


def test_a_receiver_that_does_not_tell_the_place_needs_a_file(
    tmp_path: Path, server: InventoryServer, secrets: Path
) -> None:
    with receiving(Received()) as url:
        relay = Relay(tmp_path, server, url, "--secret-file", str(secrets))
        assert relay.ended() == 1
    assert "name a --place-file to keep the place in" in relay.told()


def test_the_signature_is_that_of_the_rules() -> None:
    """The figures are those of the reference library."""
    secret = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    signed = signature(
        [secret], "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, b'{"test": 2432232314}'
    )
    assert signed == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "has 0 secrets"),
        ("secret", "is not whsec_ and the base64 of at least 24 bytes"),
        ("whsec_c2hvcnQ=", "is not whsec_"),
        (f"{SECRET}\n" * 5, "has 5 secrets: it must have 1 to 4"),
    ],
)
def test_bad_secrets_are_told(tmp_path: Path, text: str, why: str) -> None:
    file = tmp_path / "secrets"
    file.write_text(text)
    with pytest.raises(Unfit, match=why):
        read_secrets(file)


def test_the_place_in_a_file_is_that_which_was_written(tmp_path: Path) -> None:
    file = tmp_path / "place"
    assert read_place(file) == Place()
    for place in (Place(1, "abcdefghjkmn-1"), Place(300, "abcdefghjkmn-300")):
        write_place(file, place)
        assert read_place(file) == place
    file.write_text("{}")
    with pytest.raises(Unfit, match="has no place"):
        read_place(file)


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://lisbon.example/events", "http:// is for this machine alone"),
        ("https://a", "signed"),
    ],
)
def test_a_receiver_is_signed_and_encrypted(url: str, why: str, secrets: Path) -> None:
    with pytest.raises(Unfit, match=why):
        target_of(url, Kept(secrets if url.startswith("http:") else None))
