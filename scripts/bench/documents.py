"""The figures in the documents: tables and sentences between the lines that mark their place."""

import re
import shlex
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from scripts.bench.report import conditions, notes
from scripts.bench.results import KEPT, Parts, read, write
from scripts.bench.sentences import SENTENCES, filled
from scripts.bench.tables import QUESTIONS, WORDS, Table

ROOT: Final = Path(__file__).parents[2]
DOCUMENTS: Final = (
    ROOT / "README.md",
    ROOT / "scripts/deploy/README.md",
    Path(__file__).with_name("README.md"),
)

_PATHS: Final = ("--beside", "--database", "--json", "--postgres")
_PLACE: Final = re.compile(
    r"(?<=<!-- make bench)(?P<name>: [\w -]+)? -->\n.*?(?=<!-- end of make bench -->)", re.DOTALL
)


class NoFigures(Exception):
    """A document has a place for figures that were not measured."""


def publish(measured: Parts) -> None:
    """Replace the kept figures of the parts that were measured, and put all into the documents.

    Parts that the documents do not show are not kept.

    Raises:
        NoFigures: some of those that the documents show were never measured.
    """
    found = {path: path.read_text("utf-8") for path in DOCUMENTS}
    kept = read(KEPT)
    wanted = {*kept, *(part for text in found.values() for part in _parts_in(text))}
    parts = {**kept, **{name: part for name, part in measured.items() if name in wanted}}
    texts = {path: put(text, parts) for path, text in found.items()}
    write(KEPT, parts)
    for path, text in texts.items():
        path.write_text(text, "utf-8")


def command(target: str) -> dict[str, str]:
    """Return the command that repeats this run, without what names a place on this machine."""
    given = iter(sys.argv[1:])
    kept = [one for one in given if one != "--publish" and not (one in _PATHS and next(given))]
    return {"command": f'`make {target} ARGS="{shlex.join(kept)}"`'}


def put(text: str, parts: Parts) -> str:
    """Return *text* with the figures of *parts* at the places it has for them.

    Raises:
        NoFigures: it has no such place, or one for figures that were not measured.
    """
    if not _PLACE.search(text):
        raise NoFigures("the document has no place for figures")

    def replaced(match: re.Match[str]) -> str:
        name = (match["name"] or ": six figures").removeprefix(": ")
        try:
            return f"{match['name'] or ''} -->\n{_text(name, parts)}"
        except (KeyError, IndexError) as error:
            raise NoFigures(f"{name}: {error} was not measured") from None

    return _PLACE.sub(replaced, text)


def _parts_in(text: str) -> Iterator[str]:
    """Yield the parts of the tables for which *text* has a place."""
    for match in _PLACE.finditer(text):
        if question := QUESTIONS.get((match["name"] or "").removeprefix(": ")):
            yield from question.parts


def _text(name: str, parts: Parts) -> str:
    if name in SENTENCES:
        return filled(name, parts)
    if name == "conditions":
        return "".join(f"- {', '.join(of)}: {facts}.\n" for facts, of in conditions(parts))
    needed, tables = QUESTIONS[name]
    said = [note for part in needed for note in notes(parts[part])]
    blocks = ["\n".join(_lines(table)) for table in tables(parts)]
    return "\n\n".join(blocks + ["\n".join(f"- {note}." for note in said)] * bool(said)) + "\n"


def _lines(table: Table) -> Iterator[str]:
    yield _line(table.headings)
    yield _line(
        "---" if not at or heading.startswith(WORDS) else "---:"
        for at, heading in enumerate(table.headings)
    )
    yield from map(_line, table.rows)


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"
