"""A run: the servers are started, and the chosen cases are measured in turns."""

import asyncio
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from scripts.bench import (
    bulk,
    calls,
    catch_up,
    documents,
    engines,
    followers,
    growth,
    h2load,
    histories,
    imports,
    in_process,
    lock_held,
    machine,
    processor_time,
    relays,
    request_ids,
    several_servers,
    walks,
)
from scripts.bench.figures import BenchmarkFailed
from scripts.bench.measuring import Bench, Case, Options, database
from scripts.bench.results import Parts, summed
from scripts.bench.servers import echo_server, inventory_server

BRIEF: Final[Mapping[str, Callable[[Bench], Case]]] = {
    "reads": calls.reads,
    "commands": calls.commands,
    "carts": calls.carts,
    "bulk": bulk.case,
    "catch-up": catch_up.case,
    "followers": followers.case,
    "workers": calls.workers,
}
CASES: Final[Mapping[str, Callable[[Bench], Case]]] = {
    **BRIEF,
    "sweep": calls.sweep,
    "growth": growth.growth,
    "disk": growth.disk,
    "request-ids": request_ids.case,
    "histories": histories.case,
    "imports": imports.case,
    "relay": relays.case,
    "walks": walks.case,
    "engines": engines.case,
    "servers": several_servers.case,
    "lock": lock_held.case,
    "h2load": h2load.case,
    "in-process": in_process.case,
    "profile": processor_time.case,
}


class NoSuchCase(ValueError):
    """A name that no part has."""


def chosen(only: Sequence[str], also: Sequence[str]) -> Sequence[str]:
    """Return the names in *only* and *also*, in the order in which they are measured.

    Raises:
        NoSuchCase: one of them is unknown.
    """
    wanted = {*only, *also}
    if unknown := wanted - set(CASES):
        raise NoSuchCase(f"unknown: {', '.join(sorted(unknown))}; choose from {' '.join(CASES)}")
    return [name for name in CASES if name in wanted]


def measured(options: Options, names: Sequence[str], screen: Console) -> tuple[Parts, str | None]:
    """Measure the cases of these *names*; return the results, and the failure that ended it."""
    cases: list[Case] = []
    failure = None
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        work = Path(name)
        facts = documents.command("bench") | machine.facts(work)
        try:
            with (
                _Bars(screen) as bars,
                echo_server(work / "echo.log") as echo,
                inventory_server(database(work)) as inventory,
            ):
                bench = Bench(options, work, echo, inventory, bars.progress)
                cases += (CASES[name](bench) for name in names)
                asyncio.run(_measure(bench, cases, bars))
        except KeyboardInterrupt:
            failure = "interrupted"
        except BenchmarkFailed as error:
            failure = str(error)
    parts = [summed(case.group, facts) for case in cases]
    return {part.name: part for part in parts if part.figures}, failure


async def _measure(bench: Bench, cases: Sequence[Case], bars: "_Bars") -> None:
    await bench.fill()
    rounds = max((case.times for case in cases), default=0)
    in_turns = [case for number in range(rounds) for case in cases if number < case.times]
    for number, case in enumerate(in_turns):
        bars.begin(case.group.name, number, len(in_turns))
        await case.measure()


class _Bars(Progress):
    """One bar for the whole run, and one for a long step of it."""

    def __init__(self, screen: Console) -> None:
        columns = (TextColumn("{task.description:<10}"), BarColumn(), TimeElapsedColumn())
        # a bar refreshed by a thread would take processor time from the servers
        super().__init__(*columns, console=screen, auto_refresh=False)
        self._all = self.add_task("")
        self._part: TaskID | None = None

    def begin(self, name: str, number: int, of: int) -> None:
        if self._part is not None:
            self.remove_task(self._part)
            self._part = None
        self.update(self._all, description=name, completed=number, total=of, refresh=True)

    def progress(self, what: str, done: int, of: int) -> None:
        if self._part is None:
            self._part = self.add_task("")
        is_news = done * 100 // of != self.tasks[-1].completed * 100 // of
        self.update(self._part, description=f"  {what}", completed=done, total=of, refresh=is_news)
