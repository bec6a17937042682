"""A small payment server, for the example of a checkout: it charges once for each key.

    python scripts/examples/payments.py payments.db 127.0.0.1:8090

    POST /payments        {"key": "order-1", "cents": 4200}   charges, once
    POST /refunds         {"key": "order-1"}                  gives back what was charged, once
    GET  /payments/order-1

The answer is `{"state": "paid"}`, or `declined`, `refunded` or `none`. It declines more than
1,000.00.
"""

import json
import sqlite3
import sys
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

MAX_CENTS: Final = 100_000
MAX_BODY: Final = 10_000

_TABLE: Final = "CREATE TABLE IF NOT EXISTS payments (key TEXT PRIMARY KEY, cents INT, state TEXT)"


class Payments:
    """The payments in the file *path*, each with the key of its caller."""

    def __init__(self, path: str) -> None:
        self._path = path
        with closing(self._connect()) as db:
            db.execute(_TABLE)

    def state(self, key: str) -> str:
        """Return the state of a payment; `none` if there is none."""
        with closing(self._connect()) as db:
            row = db.execute("SELECT state FROM payments WHERE key = ?", (key,)).fetchone()
        return row[0] if row else "none"

    def charge(self, key: str, cents: int) -> str:
        """Charge *cents*, unless this key was used before; return the state."""
        state = "paid" if cents <= MAX_CENTS else "declined"
        with closing(self._connect()) as db:
            db.execute("INSERT OR IGNORE INTO payments VALUES (?, ?, ?)", (key, cents, state))
        return self.state(key)

    def refund(self, key: str) -> str:
        with closing(self._connect()) as db:
            db.execute(
                "UPDATE payments SET state = 'refunded' WHERE key = ? AND state = 'paid'", (key,)
            )
        return self.state(key)

    def _connect(self) -> sqlite3.Connection:
        return sqlite3.connect(self._path, timeout=10, isolation_level=None)


def handler(payments: Payments) -> type[BaseHTTPRequestHandler]:
    """Return what answers the requests of one connection."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(payments.state(self.path.removeprefix("/payments/")))

        def do_POST(self) -> None:
            size = min(int(self.headers.get("Content-Length", 0)), MAX_BODY)
            asked: dict[str, Any] = json.loads(self.rfile.read(size))
            if self.path == "/payments":
                self._answer(payments.charge(asked["key"], asked["cents"]))
            else:
                self._answer(payments.refund(asked["key"]))

        def _answer(self, state: str) -> None:
            body = json.dumps({"state": state}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass  # it would write each request to the terminal

    return Handler


def main(path: str, listen: str) -> None:
    host, _, port = listen.partition(":")
    with ThreadingHTTPServer((host, int(port)), handler(Payments(path))) as server:
        print(f"http://{host}:{server.server_port}", flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
