"""The options of a console, and which of them go together."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

from inventory_grpc.client import InventoryClient

LOOPBACK_NAMES: Final = ("127.0.0.1", "localhost", "::1")
ANY_ADDRESS: Final = ("0.0.0.0", "::", "")  # noqa: S104  compared, not listened on
TIMEOUT_SECONDS: Final = 5.0


class BadOptions(Exception):
    """The options do not go together; the message says what to change."""


class Options(NamedTuple):
    host: str
    port: int
    is_loopback: bool
    server: str
    token: str | None = None
    ca: Path | None = None
    write: bool = False
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    names: Sequence[str] = ()
    """Further names by which browsers reach it."""

    @property
    def signs_in(self) -> bool:
        """Whether each person calls with a token of their own: always where it has TLS."""
        return self.tls_certificate is not None

    @property
    def hosts(self) -> frozenset[str]:
        """The names that a request may call it by. Any other one is that of a foreign page."""
        own = LOOPBACK_NAMES if self.is_loopback else (self.host,)
        return frozenset(name.lower() for name in (*own, *self.names)) - {*ANY_ADDRESS}

    def client(self, token: str | None) -> InventoryClient:
        """Return a new client of the server, which calls with *token*.

        Raises:
            OSError: the file of authorities cannot be read.
            ValueError: a value is invalid, or the token would be sent unencrypted.
        """
        return InventoryClient(self.server, ca=self.ca, token=token, timeout=TIMEOUT_SECONDS)

    def check(self) -> None:
        """Check that nobody sees more than they may.

        Raises:
            BadOptions: the options do not go together.
            OSError: a file cannot be read.
            ValueError: the server cannot be called like this.
        """
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise BadOptions("--tls-certificate and --tls-key: one needs the other")
        if not self.is_loopback and not self.signs_in:
            raise BadOptions(
                f"{self.host} can be reached from other machines: give --tls-certificate and"
                " --tls-key, and each person signs in with a token of the server;"
                " or listen on 127.0.0.1"
            )
        if self.signs_in and self.token is not None:
            raise BadOptions(
                "--token-file: leave it out; with TLS each person signs in with their own token"
            )
        if not self.hosts:
            raise BadOptions(
                f"{self.host or '*'} is every address of this machine: name the one in the URL of"
                " the console with --name, such as --name console.example.com"
            )
        self.client(self.token or ("-" * 16 if self.signs_in else None))
