"""Shows how far a long task has come: a bar on a terminal, else a log line now and then."""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

_log = logging.getLogger(__name__)

LINE_SECONDS: Final = 10.0
"""Between two lines of the log."""


class Bar:
    """How far a long task has come."""

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
    """Show how far a task has come, on a terminal only: elsewhere it leaves an empty line."""
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
    """Show how far a task of a server that starts has come."""
    said = time.monotonic()
    with progress_bar(what) as bar:

        def at(done: int, total: int) -> None:
            nonlocal said
            bar.of(done, total)
            if not Console(stderr=True).is_terminal and time.monotonic() - said >= LINE_SECONDS:
                said = time.monotonic()
                _log.info("%s: %s of %s", what, f"{done:,}", f"{total:,}")

        yield at
