"""Refuses docstrings that are questions, or begin like one: they are statements.

A docstring is that of a module, class, function or constant: any string that stands alone.
It reads the files and directories that it is given, lists what it refuses and exits with 1.
"""

import ast
import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

INTERROGATIVE: Final = re.compile(
    r"(what|how|when|where|which|who|whose|whoever|why|does|is|are|can)\b", re.IGNORECASE
)


def questions(source: str) -> Iterator[tuple[int, str]]:
    """Yield the line and summary of each docstring in *source* that is not a statement."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Expr(ast.Constant(str(text))):
                summary = " ".join(inspect.cleandoc(text).partition("\n\n")[0].split())
                if INTERROGATIVE.match(summary) or summary.endswith("?"):
                    yield node.lineno, summary


def main(names: list[str]) -> int:
    refused = 0
    for name in names:
        root = Path(name)
        for path in sorted(root.rglob("*.py")) if root.is_dir() else [root]:
            for line, summary in questions(path.read_text("utf-8")):
                print(f"{path}:{line}: say it as a statement: {summary}", file=sys.stderr)
                refused += 1
    return 1 if refused else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
