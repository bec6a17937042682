"""Receivers of webhooks."""

import base64
import json
import sqlite3
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Final, NamedTuple

from tests.support.brokers import Entry, ProgramOnPort
from tests.support.server_process import ROOT

SECRET: Final = "whsec_" + base64.b64encode(b"k" * 32).decode()


def secret_in(folder: Path) -> Path:
    file = folder / "relay.secret"
    file.write_text(f"{SECRET}\n", "ascii")
    return file


class Example:
    """The receiver in scripts/examples."""

    def __init__(self, folder: Path, secrets: Path | None = None) -> None:
        self._process = ProgramOnPort(folder)
        self._database = folder / "events.db"
        self.secrets = secrets or secret_in(folder)
        self.url = f"http://127.0.0.1:{self._process.port}"

    def start(self) -> None:
        program = ROOT / "scripts/examples/receiver.py"
        options = self._database, self.secrets, self._process.port
        self._process.run(sys.executable, program, *options)

    def kill(self) -> None:
        self._process.kill()

    def ids(self) -> Sequence[str]:
        with closing(sqlite3.connect(self._database)) as database:
            return [one for (one,) in database.execute("SELECT event_id FROM events ORDER BY 1")]

    async def read(self) -> Sequence[Entry]:
        with closing(sqlite3.connect(self._database)) as database:
            rows = database.execute("SELECT position, event_id, event FROM events ORDER BY rowid")
            return [Entry(position, name, {}, event.encode()) for position, name, event in rows]

    def positions(self) -> Sequence[int]:
        with closing(sqlite3.connect(self._database)) as database:
            query = "SELECT position FROM events ORDER BY position"
            return [one for (one,) in database.execute(query)]


class Delivery(NamedTuple):
    """A batch as it came."""

    after: int
    ids: Sequence[str]
    positions: Sequence[int]


class Recorder:
    """The receiver in recorder.py."""

    def __init__(self, folder: Path, *, tells: bool) -> None:
        self._process = ProgramOnPort(folder)
        self._file = folder / "deliveries"
        self._how = ["tells"] if tells else []
        self.url = f"http://127.0.0.1:{self._process.port}"

    def start(self) -> None:
        program = [sys.executable, ROOT / "tests/operations/relay/recorder.py"]
        self._process.run(*program, self._process.port, self._file, *self._how)

    def kill(self) -> None:
        self._process.kill()

    def deliveries(self) -> Sequence[Delivery]:
        lines = self._file.read_text("utf-8").splitlines()
        return [Delivery(**json.loads(line)) for line in lines]


class Received:
    """The batches that a receiver has had, which answers with a status that a test sets."""

    def __init__(self) -> None:
        self.status = 204
        self.poison = 0
        """The position of an event that it does not understand."""

        self.positions: list[list[int]] = []
        self.signatures: list[str] = []


@contextmanager
def receiving(received: Received) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            positions = [int(event["data"]["position"]) for event in body]
            received.positions.append(positions)
            received.signatures.append(self.headers["webhook-signature"])
            self.send_response(422 if received.poison in positions else received.status)
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
