"""A receiver of webhooks: it checks the signatures, and keeps each event once.

    python scripts/examples/receiver.py events.db relay.secret 8099

`inventory-grpc relay http://127.0.0.1:8099 --secret-file relay.secret` sends the events. It asks
for the place first, so that it needs no file of its own. It may send a batch again whose answer was
lost: the events up to the last one that is there are skipped.
"""

import base64
import hmac
import json
import sqlite3
import sys
import time
from email.message import Message
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, Final

MAX_AGE_SECONDS: Final = 300
MAX_BODY: Final = 16 * 1024 * 1024

_TABLE: Final = (
    "CREATE TABLE IF NOT EXISTS events (position INTEGER PRIMARY KEY, event_id TEXT, event TEXT)"
)


class Events:
    """The events that were received, each once."""

    def __init__(self, path: str) -> None:
        self._db = sqlite3.connect(path, isolation_level=None)
        self._db.execute(_TABLE)

    def last(self) -> tuple[int, str]:
        query = "SELECT position, event_id FROM events ORDER BY position DESC LIMIT 1"
        position, event_id = self._db.execute(query).fetchone() or (0, "")
        return position, event_id

    def keep(self, events: list[Any]) -> None:
        """Keep all of *events* that are new, or none."""
        last, _ = self.last()
        rows = [
            (int(event["data"]["position"]), event["id"], json.dumps(event["data"]))
            for event in events
        ]
        self._db.execute("BEGIN IMMEDIATE")
        with self._db:
            new = [row for row in rows if row[0] > last]
            self._db.executemany("INSERT INTO events VALUES (?, ?, ?)", new)


def is_signed(secrets: list[bytes], headers: Message, body: bytes) -> bool:
    """Tell whether one of *secrets* signed *body*, a short time ago."""
    message_id, seconds = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not seconds.isdecimal() or abs(time.time() - int(seconds)) > MAX_AGE_SECONDS:
        return False
    signed = f"{message_id}.{seconds}.".encode() + body
    expected = [
        "v1," + base64.b64encode(hmac.digest(secret, signed, sha256)).decode() for secret in secrets
    ]
    given = headers.get("webhook-signature", "").split()
    return any(hmac.compare_digest(one, other) for one in given for other in expected)


def handler(events: Events, secrets: list[bytes]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            position, event_id = events.last()
            self.answer(204, {"Inventory-Position": str(position), "Inventory-Event-Id": event_id})

        def do_POST(self) -> None:
            length = int(self.headers.get("content-length", "0"))
            if length > MAX_BODY:
                self.answer(413)
                return
            body = self.rfile.read(length)
            if not is_signed(secrets, self.headers, body):
                self.answer(401)
            elif int(self.headers["Inventory-After"]) > events.last()[0]:
                self.answer(409)  # the events between are missing
            else:
                events.keep(json.loads(body))
                self.answer(204)

        def answer(self, status: int, headers: dict[str, str] | None = None) -> None:
            self.send_response(status)
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Write no line for each request."""

    return Handler


def main(database: str, secret_file: str, port: str) -> None:
    secrets = [
        base64.b64decode(line.removeprefix("whsec_"))
        for line in Path(secret_file).read_text("ascii").split()
    ]
    with HTTPServer(("127.0.0.1", int(port)), handler(Events(database), secrets)) as server:
        server.serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
