"""The real console in a process of its own, and pages of it in a real browser."""

import re
import resource
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from tests.support.server_process import COMMAND, ENVIRONMENT
from tests.support.tools import find_tool

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

START_SECONDS: Final = 60.0
STOP_SECONDS: Final = 20.0
BROWSER_OPTIONS: Final = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
)
PATIENCE_MS: Final = 10_000

_READY: Final = re.compile(r"the console is on (\S+) for")


@dataclass
class ConsoleProcess:
    process: "subprocess.Popen[bytes]"
    said: Path

    @classmethod
    def start(cls, server: str, said: Path, *options: str) -> "ConsoleProcess":
        if "--listen" not in options:
            options = (*options, "--listen", "127.0.0.1:0")
        with said.open("ab") as output:
            output.truncate(0)
            process = subprocess.Popen(
                [*COMMAND, "console", "--server", server, *options], stderr=output, env=ENVIRONMENT
            )
        return cls(process, said)

    def url(self) -> str:
        """Wait until it serves; return where."""
        until = time.monotonic() + START_SECONDS
        while not (found := _READY.search(self.said.read_text("utf-8").replace("\n", " "))):
            assert self.process.poll() is None, self.said.read_text("utf-8")
            assert time.monotonic() < until, "it does not start"
            time.sleep(0.01)
        return found[1]

    def stop(self) -> int:
        """Stop it as a service manager does; return its exit code."""
        self.process.terminate()
        return self.process.wait(STOP_SECONDS)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def resident_bytes(self) -> int:
        """Return how much memory it has; only Linux tells."""
        return resident_bytes(self.process.pid)


def resident_bytes(process_id: int) -> int:
    pages = Path(f"/proc/{process_id}/statm").read_text("ascii").split()[1]
    return int(pages) * resource.getpagesize()


@contextmanager
def console_process(server: str, folder: Path, *options: str) -> Iterator[ConsoleProcess]:
    console = ConsoleProcess.start(server, folder / "console.log", *options)
    try:
        console.url()
        yield console
    finally:
        console.kill()


@contextmanager
def chromium() -> Iterator["Browser"]:
    """Run Debian's Chromium; skip the test where it, or what drives it, is missing."""
    program = find_tool("chromium")
    api: Any = pytest.importorskip("playwright.sync_api", reason="`make tools` installs it")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=[*BROWSER_OPTIONS])
        try:
            yield browser
        finally:
            browser.close()


def opened(browser: "Browser", url: str, **options: Any) -> "Page":  # noqa: ANN401  those of a window
    """Open a page in a window of its own; it fails the test at any error that the page has."""
    context = browser.new_context(locale="en-GB", **options)
    context.set_default_timeout(PATIENCE_MS)
    page = context.new_page()
    page.on("pageerror", lambda error: pytest.fail(f"the page has failed: {error}"))
    page.goto(url)
    page.wait_for_selector("#live[data-state=live]")
    return page


def positions(page: "Page") -> list[int]:
    """Return the positions in the table of events, from top to bottom."""
    keys = page.eval_on_selector_all(
        "main tbody tr[data-key]", "rows => rows.map(row => row.dataset.key)"
    )
    return [int(key) for key in keys]
