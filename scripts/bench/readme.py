"""How do the figures get into the README?"""

from collections.abc import Iterator, Sequence
from typing import Final

from scripts.bench.record import Record
from scripts.bench.report import notes, tables
from scripts.bench.tables import Table

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
