"""A server in a process of its own, which a test starts, stops, kills, and moves in time."""

import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from inventory_grpc.bad_setting import BadSetting
from inventory_grpc.client import SyncInventoryClient
from inventory_grpc.server.environment import (
    kinds_of_settings,
    load,
    parse,
    to_environment,
    written,
)

PATIENCE_SECONDS: Final = 30.0
"""The longest time that the server takes for a start, a move in time, or a stop."""

MAX_ADVANCE: Final = timedelta(days=3_650)
"""The longest move in time."""

_COMMAND: Final = (sys.executable, "-P", "-m", "inventory_grpc.testing.served")
_OURS: Final = {"database", "listen", "workers"}
_LOG_SHOWN: Final = 2_000
"""Characters of the log in an error."""


class InventoryServer:
    """A server on a new file in a temporary folder, on a free port of this machine.

    Use it as a context manager: it starts in about a second, and nothing of it is left. Keywords
    are settings of `inventory-grpc serve`, such as `hold_seconds=60` or `states="display"`. By
    default `durability` is `relaxed`, which is fast and survives `kill`.

    Raises:
        BadSetting: a setting is unknown or invalid.
    """

    def __init__(self, **settings: object) -> None:
        self._settings = _read({"durability": "relaxed", **settings})
        load({}, **self._settings)  # which checks them
        self._ahead = timedelta()
        self._listen = "127.0.0.1:0"
        self._process: subprocess.Popen[str] | None = None
        self._lock = threading.Lock()
        self._opened = ExitStack()
        self._folder: Path | None = None

    def __enter__(self) -> Self:
        self._folder = Path(
            self._opened.enter_context(
                tempfile.TemporaryDirectory(prefix="inventory-", ignore_cleanup_errors=True)
            )
        )
        try:
            self.start()
        except BaseException:
            self._opened.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
        self._opened.close()

    @property
    def address(self) -> str:
        """The address of the server, which it keeps when it is started again."""
        return self._listen

    @property
    def database(self) -> Path:
        """The file of the server.

        Raises:
            RuntimeError: the server was not started.
        """
        return self._in_folder("inventory.db")

    def client(self) -> SyncInventoryClient:
        """Return a new client of the server; close it, or use it as a context manager."""
        return SyncInventoryClient(self.address)

    def now(self) -> datetime:
        """Return the time of the server's clock, in UTC."""
        return datetime.now(UTC) + self._ahead

    def advance(self, span: timedelta) -> None:
        """Move the server's clock ahead, at most 3,650 days; expire what is overdue then.

        Raises:
            RuntimeError: the server does not run, or does not answer.
            ValueError: *span* is not above 0, or too long. Time does not go back.
        """
        if not timedelta() < span <= MAX_ADVANCE:
            raise ValueError(f"span must be above 0 and at most {MAX_ADVANCE.days:,} days")
        with self._lock:
            process = self._running()
            self._ahead += span
            assert process.stdin
            with suppress(BrokenPipeError):  # it has ended, and `_answer` says so
                print(_micros(self._ahead), file=process.stdin, flush=True)
            self._answer(process)

    def start(self) -> None:
        """Start the server, again if it was stopped or killed, on the same file and address.

        Raises:
            RuntimeError: it runs, or it cannot be started; the message has the end of its log.
        """
        if self._process is not None:
            raise RuntimeError("this server runs")
        settings = load({}, database=str(self.database), listen=self._listen, **self._settings)
        with self._in_folder("server.log").open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603  this package
                [*_COMMAND, str(_micros(self._ahead))],
                env={**os.environ, **to_environment(settings)},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        self._listen = self._answer(self._process)

    def stop(self) -> None:
        """Stop the server, after it has answered the calls that it has accepted."""
        if self._process is None:
            return
        assert self._process.stdin
        with suppress(BrokenPipeError):
            self._process.stdin.close()
        try:
            self._process.wait(PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
        self._end()

    def kill(self) -> None:
        """End the server at once, as a crash of its process does. `start` starts it again."""
        if self._process is not None:
            self._process.kill()
            self._end()

    def log(self) -> str:
        """Return the log of the server so far, over all its starts."""
        return self._in_folder("server.log").read_text("utf-8")

    def _running(self) -> "subprocess.Popen[str]":
        if self._process is None:
            raise RuntimeError("this server does not run: start it")
        return self._process

    def _answer(self, process: "subprocess.Popen[str]") -> str:
        """Return the next line of *process*."""
        assert process.stdout
        too_long = threading.Timer(PATIENCE_SECONDS, process.kill)
        too_long.start()
        try:
            line = process.stdout.readline()
        finally:
            too_long.cancel()
        if not line:
            process.kill()
            self._end()
            raise RuntimeError(f"the server has ended: {self.log()[-_LOG_SHOWN:]}")
        return line.strip()

    def _end(self) -> None:
        process, self._process = self._running(), None
        process.wait()
        for pipe in (process.stdin, process.stdout):
            with suppress(BrokenPipeError):
                if pipe:
                    pipe.close()

    def _in_folder(self, name: str) -> Path:
        if self._folder is None:
            raise RuntimeError("use this server as a context manager")
        return self._folder / name


def _read(settings: Mapping[str, object]) -> Mapping[str, object]:
    """Return *settings* with the types that the server has.

    Raises:
        BadSetting: one is unknown, or has no such value.
    """
    kinds = kinds_of_settings()
    read: dict[str, object] = {}
    for name, value in settings.items():
        if name not in kinds or name in _OURS:
            raise BadSetting(f"{name}: no setting of this server")
        try:
            read[name] = parse(kinds[name], written(value))
        except ValueError as error:
            raise BadSetting(f"{name}: {error}") from None
    return read


def _micros(span: timedelta) -> int:
    return span // timedelta(microseconds=1)
