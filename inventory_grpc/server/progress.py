"""Shows the progress of a long task: a bar on a terminal, else a log line from time to time."""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

_log = logging.getLogger(__name__)

LINE_SECONDS: Final = 10.0
"""The interval between two log lines."""


class Bar:
    def __init__(self, progress: Progress, what: str) -> None:
        self._progress = progress
        self._task = progress.add_task(what, total=None)
        self.position = 0

    def at(self, position: int) -> None:
        self.position = position
        self._progress.update(self._task, completed=position)

    def of(self, done: int, total: int) -> None:
        self._progress.update(self._task, completed=done, total=total)


@contextmanager
def progress_bar(what: str) -> Iterator[Bar]:
    """Show a progress bar, on a terminal only: elsewhere it would leave an empty line."""
    screen = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(
        *columns,
        TimeRemainingColumn(),
        console=screen,
        transient=True,
        disable=not screen.is_terminal,
    ) as progress:
        yield Bar(progress, what)


@contextmanager
def progress_of_start(what: str) -> Iterator[Callable[[int, int], None]]:
    """Show the progress of a task at a server's start, by a bar or log lines."""
    logged = time.monotonic()
    with progress_bar(what) as bar:

        def at(done: int, total: int) -> None:
            nonlocal logged
            bar.of(done, total)
            if not Console(stderr=True).is_terminal and time.monotonic() - logged >= LINE_SECONDS:
                logged = time.monotonic()
                _log.info("%s: %s of %s", what, f"{done:,}", f"{total:,}")

        yield at
