"""A receiver of webhooks that writes down each delivery, also one that it has had before.

    python -m tests.operations.relay.recorder PORT FILE [tells]

With `tells` it answers `GET` with its place.
"""

import json
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path


def main(port: str, name: str, *how: str) -> None:
    file = Path(name)
    file.touch()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            events = json.loads(self.rfile.read(int(self.headers["content-length"])))
            delivery = {
                "after": int(self.headers["inventory-after"]),
                "ids": [event["id"] for event in events],
                "positions": [int(event["data"]["position"]) for event in events],
            }
            with file.open("ab", buffering=0) as written:  # one write: a kill leaves all or none
                written.write(f"{json.dumps(delivery)}\n".encode())
            self.send_response(204)
            self.end_headers()

        def do_GET(self) -> None:
            self.send_response(204 if how else 405)
            lines = file.read_text("utf-8").splitlines()
            last = json.loads(lines[-1]) if lines else None
            if how:
                self.send_header("inventory-position", str(last["positions"][-1] if last else 0))
                self.send_header("inventory-event-id", last["ids"][-1] if last else "")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Write nothing."""

    HTTPServer(("127.0.0.1", int(port)), Handler).serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
