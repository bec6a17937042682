"""The server that a command calls, and the ends of a call.

Exit codes: 0 done, 1 trouble, 2 wrong usage, 3 refused, 4 unreachable.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Timer
from typing import Final, NamedTuple

import typer

from inventory_grpc.cli.calls.options import DEFAULT_SERVER, Output
from inventory_grpc.cli.calls.output import usual
from inventory_grpc.cli.common import drop_output, show, show_error
from inventory_grpc.client import (
    DeadlineExceeded,
    InventoryClient,
    InventoryError,
    PermissionDenied,
    Refused,
    SyncInventoryClient,
    Unauthenticated,
    Unavailable,
)

TROUBLE: Final = 1
REFUSED: Final = 3
UNREACHABLE: Final = 4
INTERRUPTED: Final = 130
"""The exit code of shells after Ctrl-C."""

PATIENCE_SECONDS: Final = 1.5
"""A command that takes longer tells that it waits."""


class Session(NamedTuple):
    server: str
    token_file: Path | None
    ca: Path | None
    output: Output
    quiet: bool
    timeout: float

    @contextmanager
    def client(self) -> Iterator[SyncInventoryClient]:
        """Yield a client, with `errors`."""
        with (
            self.errors(),
            SyncInventoryClient(
                self.server, ca=self.ca, token=self._token(), timeout=self.timeout
            ) as client,
        ):
            yield client

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Tell that the server is waited for, if what is done in the `with` block takes long."""
        waits = f"waiting for {self.server}, for at most {self.timeout:g} s a call: see --timeout"
        timer = Timer(PATIENCE_SECONDS, self.note, [waits])
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def loop_client(self) -> InventoryClient:
        """Return a client for an event loop.

        Raises:
            OSError: a file cannot be read.
            ValueError: the token or the address cannot be used.
        """
        return InventoryClient(self.server, ca=self.ca, token=self._token(), timeout=self.timeout)

    def _token(self) -> str | None:
        return self.token_file.read_text("utf-8").strip() if self.token_file else None

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Tell of a failed call in a line, and end the program.

        The first word of a refusal is its reason.
        """
        os.environ.setdefault("GRPC_VERBOSITY", "NONE")
        try:
            yield
        except (Refused, Unauthenticated, PermissionDenied) as error:
            show(str(error))
            raise typer.Exit(REFUSED) from error
        except InventoryError as error:
            show_error(f"{self.server}: {error}".replace("request_id", "--request-id"))
            is_away = isinstance(error, Unavailable | DeadlineExceeded)
            if is_away and self.server == DEFAULT_SERVER:
                self.note("`inventory-grpc serve` starts a server here; --server names another one")
            raise typer.Exit(UNREACHABLE if is_away else TROUBLE) from error
        except KeyboardInterrupt:
            raise typer.Exit(INTERRUPTED) from None
        except BrokenPipeError:
            drop_output()
        except (OSError, TypeError, ValueError) as error:
            show_error(str(error))
            raise typer.Exit(TROUBLE) from error

    def note(self, text: str) -> None:
        """Write *text* to standard error, unless it is to be quiet."""
        if not self.quiet:
            show(text)


def session_of(
    *,
    server: str,
    token_file: Path | None,
    ca: Path | None,
    output: Output | None,
    quiet: bool,
    timeout: float,
) -> Session:
    """Return the session of these options."""
    return Session(server, token_file, ca, output or usual(), quiet, timeout)
