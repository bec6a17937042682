"""Refuses module docstrings that are questions, or begin like one: they are statements.

It reads the files and directories that it is given, lists what it refuses and exits with 1.
"""

import ast
import re
import sys
from pathlib import Path
from typing import Final

INTERROGATIVE: Final = re.compile(
    r"(what|how|when|where|which|who|whose|whoever|why|does|is|are|can)\b", re.IGNORECASE
)


def question(source: str) -> str | None:
    """Return the summary of the module's docstring if it is not a statement."""
    docstring = ast.get_docstring(ast.parse(source)) or ""
    summary = " ".join(docstring.partition("\n\n")[0].split())
    return summary if INTERROGATIVE.match(summary) or summary.endswith("?") else None


def main(names: list[str]) -> int:
    refused = 0
    for name in names:
        root = Path(name)
        for path in sorted(root.rglob("*.py")) if root.is_dir() else [root]:
            if summary := question(path.read_text("utf-8")):
                print(f"{path}: say it as a statement: {summary}", file=sys.stderr)
                refused += 1
    return 1 if refused else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
