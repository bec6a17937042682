"""The documents of the project, and the parts of Markdown that tests look at."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

ROOT: Final = Path(__file__).parents[2]
README: Final = ROOT / "README.md"
CONTRIBUTING: Final = ROOT / ".github/CONTRIBUTING.md"
CHANGELOG: Final = ROOT / ".github/CHANGELOG.md"
API: Final = ROOT / "protos/README.md"
BACKORDERS: Final = ROOT / "protos/BACKORDERS.md"
CATALOGUE: Final = ROOT / "protos/CATALOGUE.md"
CLIENTS: Final = ROOT / "protos/CLIENTS.md"
COMPILED: Final = ROOT / "protos/COMPILED.md"
STOCKS: Final = ROOT / "protos/STOCKS.md"
LANGUAGES: Final = ROOT / "protos/LANGUAGES.md"
CONSOLE: Final = ROOT / "scripts/deploy/console/README.md"
HANDBOOK: Final = ROOT / "scripts/deploy/README.md"
PROMISES: Final = ROOT / "tests/robustness/README.md"

MAX_README_LINES: Final = 250
MAX_FIRST_SCREEN_LINES: Final = 40
MAX_DOCUMENT_LINES: Final = 400

_FOLDERS: Final = (".github", "inventory_grpc", "protos", "scripts", "tests")
_FENCED: Final = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_SPAN: Final = re.compile(r"`([^`\n]+)`")
_HEADING: Final = re.compile(r"^#+ (.+)$", re.MULTILINE)
_LINK: Final = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


def documents() -> list[Path]:
    """Return every document, the README first."""
    return [README, *sorted(path for name in _FOLDERS for path in (ROOT / name).rglob("*.md"))]


def name_of(document: Path) -> str:
    return str(document.relative_to(ROOT))


def text_of(document: Path) -> str:
    return document.read_text(encoding="utf-8")


def prose_of(document: Path) -> str:
    """Return its text without fenced blocks."""
    return _FENCED.sub("", text_of(document))


def code_of(document: Path) -> str:
    """Return its code: fenced blocks, and spans in the prose, one on a line."""
    blocks = _FENCED.findall(text_of(document))
    return "\n".join([*blocks, *_SPAN.findall(prose_of(document))])


def section_of(document: Path, heading: str) -> str:
    """Return the text below a heading of the second level, up to the next one."""
    _, found, rest = text_of(document).partition(f"\n## {heading}\n")
    assert found, f"{name_of(document)} has no section {heading}"
    return rest.partition("\n## ")[0]


def rows_of(text: str, *headings: str) -> list[list[str]]:
    """Return the cells, without backquotes, of the first table that begins with these headings."""
    lines = text.splitlines()
    begin = f"| {' | '.join(headings)} |"
    start = next(at for at, line in enumerate(lines) if line.startswith(begin))
    table = []
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        table.append([cell.strip().strip("`") for cell in line.strip("|").split(" | ")])
    return table


def anchors_of(document: Path) -> set[str]:
    """Return the anchors that GitHub gives the headings."""
    headings = _HEADING.findall(prose_of(document))
    return {re.sub(r"[^\w\- ]", "", one.lower()).strip().replace(" ", "-") for one in headings}


class Link(NamedTuple):
    """A link as it is written."""

    document: Path
    target: str

    @property
    def is_external(self) -> bool:
        return "://" in self.target

    @property
    def leads_somewhere(self) -> bool:
        """Whether the file is there, and the heading in it."""
        file, _, anchor = self.target.partition("#")
        path = (self.document.parent / file).resolve() if file else self.document
        if not path.exists() or not path.is_relative_to(ROOT):
            return False
        return not anchor or (path.suffix == ".md" and anchor in anchors_of(path))


def links_of(document: Path) -> Iterator[Link]:
    """Yield its links, those of pictures too."""
    return (Link(document, target) for target in _LINK.findall(prose_of(document)))
