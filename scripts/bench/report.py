"""How are the figures shown?"""

from collections.abc import Iterator, Sequence

from rich import table as rich_table
from rich.box import SIMPLE_HEAD
from rich.console import Console

from scripts.bench.figures import Group
from scripts.bench.record import Record
from scripts.bench.tables import MET, NOT_MET, Table, along, side_by_side


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
