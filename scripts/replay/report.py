"""The report of a replay: progress bars, then rates and differences."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from scripts.bench.results import Figure, Part
from scripts.replay.findings import Findings


@dataclass
class Phase:
    """A phase of the run, with its amount and time."""

    name: str
    unit: str
    bars: Progress
    bar: TaskID
    count: int = 0
    seconds: float = 0.0
    requests: int = 0
    events: int = 0
    busy: float = 0.0
    """Processor time of this program for each second; near 1, it was the bottleneck."""

    def advance(self, count: int = 1) -> None:
        self.count += count
        self.bars.advance(self.bar, count)


class Report:
    """Shows progress, and the results at the end."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._phases: list[Phase] = []
        self._facts: list[tuple[str, int]] = []
        self._started = time.perf_counter()
        self.bars = Progress(
            TextColumn("{task.description:<14}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(elapsed_when_finished=True),
            console=console,
        )

    @contextmanager
    def phase(self, name: str, unit: str, total: int) -> Iterator[Phase]:
        """Time the block, and show its progress."""
        phase = Phase(name, unit, self.bars, self.bars.add_task(name, total=total))
        self._phases.append(phase)
        started, worked = time.perf_counter(), time.process_time()
        try:
            yield phase
        finally:
            phase.seconds = time.perf_counter() - started
            phase.busy = (time.process_time() - worked) / phase.seconds

    def fact(self, what: str, value: int) -> None:
        self._facts.append((what, value))

    def part(self, facts: Mapping[str, str]) -> Part:
        """Return the results, for the document that shows them."""
        seconds = [(phase.name, phase.seconds) for phase in self._phases]
        seconds.append(("in all", time.perf_counter() - self._started))
        figures = [Figure(name, "s", float(f"{value:.3g}")) for name, value in seconds]
        known = dict(self._facts)
        if size := known.get("bytes in the file"):
            known["bytes an event"] = round(size / known["events"])
        figures += [Figure(name, "", value) for name, value in known.items()]
        return Part("replay", facts, figures)

    def show(self, findings: Findings) -> None:
        rates = Table("", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
        for heading in ("", "seconds", "a second", "rpc/s", "events/s", "client"):
            rates.add_column(heading, justify="right", no_wrap=True)
        for phase in self._phases:
            rates.add_row(
                phase.name,
                f"{phase.count:,} {phase.unit}" if phase.unit else "",
                f"{phase.seconds:,.1f}",
                _rate(phase.count if phase.unit else 0, phase.seconds),
                _rate(phase.requests, phase.seconds),
                _rate(phase.events, phase.seconds),
                f"{phase.busy:.0%}",
            )
        rates.add_section()
        rates.add_row("in all", "", f"{time.perf_counter() - self._started:,.1f}")
        self._console.print(rates)
        self._console.print("client: the share of time in which this program was busy", style="dim")
        known = Table("", box=SIMPLE_HEAD, padding=(0, 1, 0, 0), show_header=False)
        known.add_column("", justify="right", no_wrap=True)
        for name, value in self._facts:
            known.add_row(name, f"{value:,}")
        self._console.print(known)
        for finding in findings.first:
            self._console.print(f"[red]differs[/] {finding}", highlight=False)
        colour = "red" if findings.count else "green"
        self._console.print(f"[{colour}]{findings.count:,} differences[/]")


def _rate(count: int, seconds: float) -> str:
    return f"{count / seconds:,.0f}" if count and seconds else ""
