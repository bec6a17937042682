"""The tables of figures: on a terminal, and in the README."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from rich import table as rich_table
from rich.box import SIMPLE_HEAD
from rich.console import Console

from scripts.bench.figures import Comparison, Group, Record, Series

MET, NOT_MET = " met", " not met"

_WAITING = {"p50_ms": "p50 ms", "p99_ms": "p99 ms", "p999_ms": "p99.9 ms", "server_us": "CPU µs"}
_BRIEFLY = ("p999_ms",)


@dataclass(frozen=True)
class Table:
    """Headings and rows; each section of rows belongs together."""

    headings: Sequence[str]
    words: Sequence[bool]
    """Which columns are words, and not figures."""

    sections: Sequence[Sequence[Sequence[str]]]


def side_by_side(groups: Sequence[Group]) -> Table:
    """Return each case below what it is compared with."""
    headings = ("case", "median", "", "p50 ms", "p99 ms", "CPU µs", "ratio", "to", "aim")
    words = [name in {"to", "aim"} or not place for place, name in enumerate(headings)]
    return Table(headings, words, [list(_cases(group)) for group in groups])


def along(group: Group, *, brief: bool = False) -> Table:
    """Return what was measured at each place of the group's axis; *brief* tells less of waiting."""
    places = sorted({series.at for series in group.series if series.at is not None})
    by_name = {
        name: {series.at: series for series in of_name}
        for name, of_name in groupby(
            sorted(group.series, key=lambda one: _order(group, one.name)), lambda one: one.name
        )
    }
    sections = []
    for name, series in by_name.items():
        found = [series.get(place) for place in places]
        waiting = _waiting(found, _BRIEFLY if brief else [*_WAITING])
        sections.append([_values(name, found), *waiting, *_ratios(group, found)])
    named = [group.places[int(one)] if group.places else f"{one:,.0f}" for one in places]
    headings = (group.axis or "", *named)
    return Table(headings, [True, *(False for _ in places)], sections)


def _cases(group: Group) -> Iterator[Sequence[str]]:
    for series in group.series:
        ratios = [_ratio(one) for one in group.comparisons if one.case is series]
        if aim := _aim(series):
            ratios.append(("", "", aim))
        first, *more = ratios or [("", "", "")]
        yield (*_figures(series), *first)
        for row in more:
            yield ("",) * 6 + row


def _figures(series: Series) -> Sequence[str]:
    value = series.value
    return (
        _named(series),
        number(value.median),
        f"±{value.half / value.median:.0%}",
        *(number(series.middle(name)) for name in ("p50_ms", "p99_ms", "server_us")),
    )


def _named(series: Series) -> str:
    """Return its name, and of what it counts so many a second, but for calls."""
    if series.unit == "calls/s":
        return series.name
    return f"{series.name}, {series.unit.removesuffix('/s')}"


def _ratio(comparison: Comparison) -> tuple[str, str, str]:
    ratio = comparison.ratio
    aim = "" if comparison.aim is None else f"{comparison.aim:.2f}{_met(comparison.is_met)}"
    return f"{ratio.median:.2f} ±{ratio.half:.2f}", comparison.beside.name, aim


def _aim(series: Series) -> str:
    if series.most is not None:
        return f"at most {number(series.most)}{_met(series.is_met)}"
    return "" if series.aim is None else f"{number(series.aim)}{_met(series.is_met)}"


def _met(is_met: bool | None) -> str:  # noqa: FBT001  the word for it
    return MET if is_met else NOT_MET


def _values(name: str, series: Sequence[Series | None]) -> Sequence[str]:
    last = [one for one in series if one][-1]
    heading = ", ".join(filter(None, (name, last.unit, _aim(last))))
    return (heading, *(number(one.value.median if one else None) for one in series))


def _waiting(series: Sequence[Series | None], fields: Sequence[str]) -> Iterator[Sequence[str]]:
    for field in fields:
        seen = [one.middle(field) if one else None for one in series]
        if any(one is not None for one in seen):
            yield (f"  {_WAITING[field]}", *map(number, seen))


def _ratios(group: Group, series: Sequence[Series | None]) -> Iterator[Sequence[str]]:
    """Yield the ratios to each that it was measured beside, and where it matters how flat."""
    compared = [[one for one in group.comparisons if one.case is case] for case in series]
    names = [one.beside.name for one in max(compared, key=len)]
    for name in names:
        beside = [next((one for one in at if one.beside.name == name), None) for at in compared]
        ratios = [one.ratio.median if one else None for one in beside]
        yield (f"  to {name}", *map(number, ratios))
        flat = next(one.flat for one in beside if one)
        if flat is not None:
            first = next(one for one in ratios if one)
            change = [one / first if one else None for one in ratios]
            met = _met((change[-1] or 0) >= flat)
            yield (f"  and that to the first, {flat:.2f}{met}", *map(number, change))


def _order(group: Group, name: str) -> int:
    return next(place for place, one in enumerate(group.series) if one.name == name)


def number(value: float | None) -> str:
    """Return three digits of *value*, or all of its whole ones."""
    if value is None:
        return ""
    if value >= 100:  # noqa: PLR2004
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"  # noqa: PLR2004


def show(console: Console, record: Record) -> None:
    """Print what was measured, each case below what it is compared with."""
    for name, value in record.facts.items():
        console.print(f"[dim]{name}:[/] {value}", highlight=False)
    for table in tables(record.groups):
        console.print(_drawn(table))
    for note in notes(record.groups):
        console.print(note, style="dim", highlight=False)


def tables(groups: Sequence[Group], *, brief: bool = False) -> Iterator[Table]:
    """Yield the tables of what was measured."""
    if cases := [group for group in groups if group.series and not group.axis]:
        yield side_by_side(cases)
    yield from (along(group, brief=brief) for group in groups if group.series and group.axis)


def notes(groups: Sequence[Group]) -> Iterator[str]:
    """Yield what a reader has to know."""
    yield (
        "Spread: over all stocks; hot: on one of them. Medians, and half the distance from the "
        "lowest to the highest. CPU: of the server, for each of what is counted."
    )
    yield from (note for group in groups for note in group.notes)
    yield from _how_busy(groups)


def _how_busy(groups: Sequence[Group]) -> Iterator[str]:
    shares = {
        series.name: share
        for group in groups
        for series in group.series
        if (share := series.middle("generator_busy")) is not None
    }
    if shares:
        name = max(shares, key=lambda one: shares[one])
        yield (
            f"The generator was at work {shares[name]:.0%} of the time at most, for {name}: "
            "it is one thread, so near 100% it would have been the bottleneck."
        )


def _drawn(table: Table) -> rich_table.Table:
    drawn = rich_table.Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for heading, words in zip(table.headings, table.words, strict=True):
        drawn.add_column(heading, justify="left" if words else "right", no_wrap=not words)
    for section in table.sections:
        for row in section:
            drawn.add_row(*map(_coloured, row))
        drawn.add_section()
    return drawn


def _coloured(cell: str) -> str:
    if cell.endswith(NOT_MET):
        return f"{cell.removesuffix(NOT_MET)}[red]{NOT_MET}[/]"
    if cell.endswith(MET):
        return f"{cell.removesuffix(MET)}[green]{MET}[/]"
    return cell


BEGIN: Final = "<!-- make bench -->"
END: Final = "<!-- end of make bench -->"


class NoPlace(ValueError):
    """A text does not say where figures belong."""


def put(text: str, record: Record) -> str:
    """Return *text* with the figures between the two lines that are their place.

    Raises:
        NoPlace: it does not have them.
    """
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise NoPlace(f"figures are put between {BEGIN} and {END}; they are not there")
    return f"{before}{BEGIN}\n{markdown(record)}{END}{after}"


def markdown(record: Record) -> str:
    """Return the figures, without what plots show better."""
    facts = ", ".join(f"{name} {value}" for name, value in record.facts.items())
    drawn = ("\n".join(_lines(table)) for table in tables(record.groups, brief=True))
    return (
        "\n\n".join((f"{facts}.", *drawn, *(f"- {note}" for note in notes(record.groups)))) + "\n"
    )


def _lines(table: Table) -> Iterator[str]:
    yield _line(table.headings)
    yield _line(["---" if words else "---:" for words in table.words])
    yield from (_line(row) for section in table.sections for row in section)


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell.strip() for cell in cells)} |"
