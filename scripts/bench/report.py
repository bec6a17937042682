"""The results of a run on a terminal."""

from collections.abc import Iterator
from typing import Final

from rich import table as rich_table
from rich.box import SIMPLE_HEAD
from rich.console import Console

from scripts.bench.results import Part, Parts
from scripts.bench.tables import MET, MISSED, NEAR, QUESTIONS, WORDS, Table

MENTIONED: Final = 0.5
"""The least busy share of a generator that is mentioned; near 1, it would be the bottleneck."""

_COLOURS = {MET: "green", NEAR: "yellow", MISSED: "red"}


def show(console: Console, parts: Parts) -> None:
    """Print the circumstances, the tables of each question, and the remarks."""
    for facts, _ in conditions(parts):
        console.print(facts, style="dim", highlight=False)
    for question, (_, tables) in QUESTIONS.items():
        for table in tables(parts):
            console.print(_drawn(question, table))
    for note in (note for part in parts.values() for note in notes(part)):
        console.print(note, style="dim", highlight=False)


def conditions(parts: Parts) -> Iterator[tuple[str, list[str]]]:
    """Yield the circumstances of each run, and the names of the parts measured in it."""
    by_facts: dict[str, list[str]] = {}
    for part in parts.values():
        facts = ", ".join(f"{name} {value}" for name, value in part.facts.items())
        by_facts.setdefault(facts, []).append(part.name)
    yield from by_facts.items()


def notes(part: Part) -> Iterator[str]:
    """Yield the remarks of a part, and how near its generator was to being the bottleneck."""
    yield from part.notes
    shares = {
        figure.name: figure.generator_busy for figure in part.figures if figure.generator_busy
    }
    if shares:
        name, share = max(shares.items(), key=lambda one: one[1])
        if share > MENTIONED:
            yield f"{part.name}: the generator, one thread, was busy {share:.0%} at most ({name})"


def _drawn(question: str, table: Table) -> rich_table.Table:
    drawn = rich_table.Table(
        title=question, title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0)
    )
    for at, heading in enumerate(table.headings):
        is_words = not at or heading.startswith(WORDS)
        drawn.add_column(heading, justify="left" if is_words else "right", no_wrap=not at)
    for row in table.rows:
        drawn.add_row(*map(_coloured, row))
    return drawn


def _coloured(cell: str) -> str:
    for words, colour in _COLOURS.items():
        if cell.endswith(words):
            return f"{cell.removesuffix(words)}[{colour}]{words}[/]"
    return cell
