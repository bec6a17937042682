"""Standard error behind a bounded queue, so that a stalled log reader never blocks the service."""

import atexit
import io
import os
import select
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue
from typing import Final, TextIO

import structlog

MAX_WAITING: Final = 4 * 1024 * 1024
"""The most characters in the queue; about 15,000 lines."""

DRAIN_SECONDS: Final = 1.0
"""The longest time that the exit of the process waits for the queue."""


class LogQueue(io.TextIOBase):
    """A text file whose `write` never blocks: a thread writes to the descriptor.

    While the queue is full, lines are dropped and counted. When the queue is empty again, a line
    reports how many were dropped; they are all missing at that point.
    """

    def __init__(
        self, descriptor: int, max_waiting: int = MAX_WAITING, drain_seconds: float = DRAIN_SECONDS
    ) -> None:
        """Start the thread, which is a daemon and does not delay the exit of the process."""
        self._descriptor = descriptor
        self._max_waiting = max_waiting
        self._drain_seconds = drain_seconds
        self._queue: SimpleQueue[str | threading.Event] = SimpleQueue()
        # reentrant: a signal handler may log while its thread is logging
        self._lock = threading.RLock()
        self._waiting = 0
        self._dropped = 0
        threading.Thread(target=self._run, name="log", daemon=True).start()
        atexit.register(self.drain)

    @property
    def encoding(self) -> str:  # type: ignore[override]  # read only here
        return "utf-8"

    def fileno(self) -> int:
        return self._descriptor

    def isatty(self) -> bool:
        return os.isatty(self._descriptor)

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        with self._lock:
            waiting = self._waiting
            if waiting and (self._dropped or waiting + len(text) > self._max_waiting):
                self._dropped += text.count("\n")
                return len(text)
            self._waiting += len(text)
        self._queue.put(text)
        return len(text)

    def flush(self) -> None:
        """Do nothing: loggers flush after each line, and must not wait. See `drain`."""

    def drain(self) -> None:
        """Wait for a bounded time until the queue is written; after a timeout, never again."""
        written = threading.Event()
        self._queue.put(written)
        if not written.wait(self._drain_seconds):
            self._drain_seconds = 0.0

    def _run(self) -> None:
        while True:
            entry = self._queue.get()
            if isinstance(entry, threading.Event):
                entry.set()
                continue
            try:
                self._put_out(entry.encode("utf-8", "backslashreplace"))
            except Exception:  # noqa: BLE001  a bug or a closed pipe: the thread continues
                self._done(entry, lost=entry.count("\n"))
            else:
                if dropped := self._done(entry):
                    with suppress(Exception):
                        self._report(dropped)

    def _done(self, entry: str, lost: int = 0) -> int:
        """Subtract *entry* from the count; return the dropped lines, if they can be reported."""
        with self._lock:
            self._waiting -= len(entry)
            self._dropped += lost
            if self._waiting or lost:
                return 0
            dropped, self._dropped = self._dropped, 0
            return dropped

    def _report(self, dropped: int) -> None:
        log = structlog.get_logger("inventory_grpc.server.logs")
        log.warning("log lines were dropped: they were not read in time", dropped=dropped)

    def _put_out(self, text: bytes) -> None:
        for piece in _pieces(text):
            left = piece
            while left:
                try:
                    left = left[os.write(self._descriptor, left) :]
                except BlockingIOError:  # another process has set the descriptor to non-blocking
                    waiting = select.poll()
                    waiting.register(self._descriptor, select.POLLOUT)
                    waiting.poll()


def _pieces(text: bytes) -> Iterator[bytes]:
    """Split *text* into whole lines of at most the size that a pipe writes atomically.

    This keeps the lines of several processes on one pipe intact.
    """
    start = 0
    while len(text) - start > select.PIPE_BUF:
        end = text.rfind(b"\n", start, start + select.PIPE_BUF) + 1
        if not end:  # one line is longer
            end = text.find(b"\n", start) + 1 or len(text)
        yield text[start:end]
        start = end
    if start < len(text):
        yield text[start:]


def queued(stream: TextIO | None) -> TextIO:
    """Return a queued replacement of *stream*; without a stream, one that discards the text."""
    if stream is None:
        return Path(os.devnull).open("w", encoding="utf-8")
    try:
        descriptor = stream.fileno()
    except OSError:  # a stream of a test, which does not block
        return stream
    stream.flush()
    return LogQueue(descriptor)  # type: ignore[return-value]  # `TextIO` has more than is used
