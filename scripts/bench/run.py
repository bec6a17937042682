"""The cases there are, and a run from the start of the servers to the last sample."""

import asyncio
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from scripts.bench import (
    bulk,
    calls,
    catch_up,
    followers,
    growth,
    h2load,
    histories,
    in_process,
    machine,
    processor_time,
)
from scripts.bench.figures import Group, Record
from scripts.bench.h2load import H2loadFailed
from scripts.bench.in_process import WrongAnswer
from scripts.bench.measuring import Bench, Case, Options, WrongCount, database
from scripts.bench.processor_time import PerfFailed
from scripts.bench.servers import ServerFailed, echo_server, inventory_server
from scripts.bench.wire import CallFailed

BRIEF: Final[Mapping[str, Callable[[Bench], Case]]] = {
    "reads": calls.reads,
    "commands": calls.commands,
    "carts": calls.carts,
    "bulk": bulk.case,
    "catch-up": catch_up.case,
    "followers": followers.case,
    "workers": calls.workers,
}
LONG: Final[Mapping[str, Callable[[Bench], Case]]] = {
    "growth": growth.growth,
    "disk": growth.disk,
    "histories": histories.case,
}
CASES: Final[Mapping[str, Callable[[Bench], Case]]] = {
    **BRIEF,
    "sweep": calls.sweep,
    **LONG,
    "h2load": h2load.case,
    "in-process": in_process.case,
    "profile": processor_time.case,
}


class NoSuchCase(ValueError):
    """Something else is to be measured than there is."""


def chosen(only: Sequence[str], *more: str) -> Sequence[str]:
    """Return the names in *only*, or where there are none those that take little, and *more*.

    Raises:
        NoSuchCase: there is nothing of that name.
    """
    if unknown := set(only) - set(CASES):
        raise NoSuchCase(f"there is no {', '.join(sorted(unknown))}; choose from {' '.join(CASES)}")
    wanted = {*(only or BRIEF), *more}
    return [name for name in CASES if name in wanted]


FAILED: Final = "failed"
"""The fact that says why a run ended early."""


def measured(
    options: Options, names: Sequence[str], folder: Path | None, screen: Console
) -> Record:
    """Measure the cases of these *names*; return what was seen, also if it had to end early."""
    cases: list[Case] = []
    with tempfile.TemporaryDirectory(prefix="bench-", dir=folder) as name:
        work = Path(name)
        facts = machine.facts(work)
        try:
            with (
                _Bars(screen) as bars,
                echo_server(work / "echo.log") as echo,
                inventory_server(database(work)) as inventory,
            ):
                bench = Bench(options, work, echo, inventory, bars.tell)
                cases += (CASES[name](bench) for name in names)
                asyncio.run(_measure(bench, cases, bars))
        except KeyboardInterrupt:
            facts[FAILED] = "interrupted"
        except (
            CallFailed,
            H2loadFailed,
            PerfFailed,
            ServerFailed,
            WrongAnswer,
            WrongCount,
        ) as error:
            facts[FAILED] = str(error)
    return Record(facts, asdict(options), [_seen(case.group) for case in cases])


async def _measure(bench: Bench, cases: Sequence[Case], bars: "_Bars") -> None:
    await bench.fill()
    rounds = max((case.times for case in cases), default=0)
    in_turns = [case for number in range(rounds) for case in cases if number < case.times]
    for number, case in enumerate(in_turns):
        bars.begin(case.group.name, number, len(in_turns))
        await case.measure()


def _seen(group: Group) -> Group:
    """Return what of *group* was measured."""
    series = [one for one in group.series if one.samples]
    comparisons = [one for one in group.comparisons if one.case.samples and one.beside.samples]
    return replace(group, series=series, comparisons=comparisons)


class _Bars(Progress):
    """One bar for all there is to measure, and one for what takes long in it."""

    def __init__(self, screen: Console) -> None:
        columns = (TextColumn("{task.description:<10}"), BarColumn(), TimeElapsedColumn())
        # bars that move by themselves would take time from what is measured
        super().__init__(*columns, console=screen, auto_refresh=False)
        self._all = self.add_task("")
        self._part: TaskID | None = None

    def begin(self, name: str, number: int, of: int) -> None:
        if self._part is not None:
            self.remove_task(self._part)
            self._part = None
        self.update(self._all, description=name, completed=number, total=of, refresh=True)

    def tell(self, what: str, done: int, of: int) -> None:
        if self._part is None:
            self._part = self.add_task("")
        is_news = done * 100 // of != self.tasks[-1].completed * 100 // of
        self.update(self._part, description=f"  {what}", completed=done, total=of, refresh=is_news)
