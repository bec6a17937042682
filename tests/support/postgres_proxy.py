"""A proxy before PostgreSQL: it cuts off a connection at its COMMIT, or swallows what is sent."""

import socket
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from enum import Enum, auto
from pathlib import Path
from typing import Final

from psycopg.conninfo import conninfo_to_dict

COMMIT: Final = b"COMMIT\0"
"""The end of the statement when it is prepared, and the tag of its answer."""

_CHUNK: Final = 65_536


class Trouble(Enum):
    """A failure at the next COMMIT that is prepared."""

    CUT_BEFORE = auto()
    """The connection is cut off before the server gets it."""
    CUT_AFTER = auto()
    """The connection is cut off once the server has answered it."""
    SWALLOW = auto()
    """The server has answered it, and the client hears nothing, not even an end."""


class Proxy:
    """Listens at a Unix socket, for connections that have not prepared their COMMIT yet."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url = f"{url}{'&' if '?' in url else '?'}host={folder}&port=5432"
        self._named = conninfo_to_dict(url)
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(folder / ".s.PGSQL.5432"))
        self._listener.listen()
        self._sockets: list[socket.socket] = []
        self.trouble: Trouble | None = None
        self.refuses = False
        """Whether new connections are closed at once."""
        self.is_silent = False
        """Whether all that is sent is swallowed, on both ways."""
        self.met = threading.Event()
        """The trouble has happened."""
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                if self.refuses:
                    client.close()
                    continue
                server = self._connect()
                self._sockets += client, server
                connection = _Connection(self, client, server)
                for pump in (connection.to_server, connection.to_client):
                    threading.Thread(target=pump, daemon=True).start()

    def _connect(self) -> socket.socket:
        host, port = str(self._named["host"]), self._named.get("port") or 5432
        if not host.startswith("/"):
            return socket.create_connection((host, int(port)))
        server = socket.socket(socket.AF_UNIX)
        server.connect(f"{host}/.s.PGSQL.{port}")
        return server

    def cut(self) -> None:
        """End all connections."""
        for one in self._sockets:
            _end(one)

    def close(self) -> None:
        _end(self._listener)
        self.cut()


class _Connection:
    def __init__(self, proxy: Proxy, client: socket.socket, server: socket.socket) -> None:
        self._proxy, self._client, self._server = proxy, client, server
        self._trouble: Trouble | None = None

    def to_server(self) -> None:
        with suppress(OSError):
            while data := self._client.recv(_CHUNK):
                if COMMIT in data and self._proxy.trouble is not None:
                    self._trouble, self._proxy.trouble = self._proxy.trouble, None
                if self._trouble is Trouble.CUT_BEFORE:
                    self._cut()
                    break
                if not self._proxy.is_silent:
                    self._server.sendall(data)
        _end(self._server)

    def to_client(self) -> None:
        answer = b""
        with suppress(OSError):
            while data := self._server.recv(_CHUNK):
                if self._trouble is None:
                    if not self._proxy.is_silent:
                        self._client.sendall(data)
                    continue
                answer += data
                if COMMIT in answer:
                    if self._trouble is Trouble.CUT_AFTER:
                        self._cut()
                    self._proxy.met.set()
        if self._trouble is not Trouble.SWALLOW:
            _end(self._client)

    def _cut(self) -> None:
        _end(self._client)
        _end(self._server)
        self._proxy.met.set()


def _end(one: socket.socket) -> None:
    with suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
    one.close()


@contextmanager
def proxied(url: str) -> Iterator[Proxy]:
    """Yield a proxy before the server of *url*."""
    # not a folder of pytest: the path of a socket is short
    with tempfile.TemporaryDirectory() as folder:
        proxy = Proxy(url, Path(folder))
        try:
            yield proxy
        finally:
            proxy.close()
