"""How are the figures shown?"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from scripts.bench.cases import Group, Options
from scripts.bench.figures import Comparison, Series


def show(console: Console, facts: Mapping[str, str], groups: Sequence[Group]) -> None:
    """Print what was measured, each case below what it is compared with."""
    for name, value in facts.items():
        console.print(f"[dim]{name}:[/] {value}", highlight=False)
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("", no_wrap=True)
    for heading in ("a second", "p50 ms", "p99 ms", "CPU µs", "ratio"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("to")
    table.add_column("aim", no_wrap=True)
    for group in groups:
        for series in group.series:
            rows = [_ratio(one) for one in group.comparisons if one.case is series]
            first, *more = rows or [("", "", "")]
            table.add_row(*_figures(series), *first)
            for row in more:
                table.add_row("", "", "", "", "", *row)
        table.add_section()
    console.print(table)
    console.print(
        "Spread: over all stocks; hot: on one of them. Medians, and half the distance from the "
        "lowest to the highest. CPU: of the server, for each call or event. "
        f"The generator was at work {_busy(groups):.0%} of the time at most.",
        style="dim",
        highlight=False,
    )


def write_json(
    path: Path, facts: Mapping[str, str], options: Options, groups: Sequence[Group]
) -> None:
    """Write everything that was measured, each sample of it."""
    document = {
        "facts": dict(facts),
        "options": asdict(options),
        "series": [_series(series) for group in groups for series in group.series],
        "comparisons": [_comparison(one) for group in groups for one in group.comparisons],
    }
    path.write_text(json.dumps(document, indent=2) + "\n", "utf-8")


def _figures(series: Series) -> Sequence[str]:
    rate = series.rate
    return (
        series.name,
        f"{rate.median:,.0f} ±{rate.half / rate.median:3.0%}",
        _number(series.middle("p50_ms")),
        _number(series.middle("p99_ms")),
        _number(series.middle("server_us")),
    )


def _ratio(comparison: Comparison) -> tuple[str, str, str]:
    ratio, aim = comparison.ratio, ""
    if comparison.target is not None:
        met = "[green]met[/]" if comparison.is_met else "[red]not met[/]"
        aim = f"{comparison.target:.2f} {met}"
    return f"{ratio.median:.2f} ±{ratio.half:.2f}", comparison.beside.name, aim


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"  # noqa: PLR2004  three digits do


def _busy(groups: Sequence[Group]) -> float:
    shares = (series.middle("generator_busy") for group in groups for series in group.series)
    return max((share for share in shares if share is not None), default=0.0)


def _series(series: Series) -> dict[str, Any]:
    return {
        "name": series.name,
        "unit": f"{series.unit}/s",
        "rate": series.rate._asdict(),
        "samples": [sample._asdict() for sample in series.samples],
    }


def _comparison(comparison: Comparison) -> dict[str, Any]:
    return {
        "case": comparison.case.name,
        "beside": comparison.beside.name,
        "ratio": comparison.ratio._asdict(),
        "target": comparison.target,
        "is_met": comparison.is_met,
    }
