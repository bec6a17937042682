"""Break the service on purpose, one promise at a time, and see that a test notices.

Each mutant is a change to a copy of the sources, and the tests that must fail with it. The
tests pass on an unchanged copy first, or their failing would tell nothing.
"""

import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.table import Table

from scripts.mutants import MUTANTS
from scripts.mutants.mutant import Mutant

ROOT: Final = Path(__file__).parents[2]
COPIED: Final = ("inventory_grpc", "generated", "tests", "scripts", "README.md", "pyproject.toml")
SECONDS: Final = 400
"""What the tests of one mutant may take."""

app = typer.Typer(add_completion=False)
_screen = Console(stderr=True)


@app.command()
def main(
    only: Annotated[
        list[str] | None, typer.Argument(help="Names of mutants, such as M7; all of them if none.")
    ] = None,
) -> None:
    """Show that each mutant is caught; exit with 1 if one is not."""
    chosen = [mutant for mutant in MUTANTS if not only or mutant.name in only]
    table = Table("mutant", "what is wrong", "caught by", "seconds")
    survived = 0
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        for name in COPIED:
            source = ROOT / name
            (shutil.copytree if source.is_dir() else shutil.copy)(source, copy / name)
        with _screen.status("unchanged, all of these tests pass") as status:
            healthy = _failing(copy, " ".join({mutant.caught_by for mutant in chosen}))
            if healthy:
                _screen.print(f"[red]{healthy}[/] fails before anything was changed")
                raise typer.Exit(1)
            for mutant in chosen:
                status.update(f"{mutant.name}: {mutant.what}")
                begun = time.monotonic()
                caught = _caught(copy, mutant)
                survived += not caught
                seconds = f"{time.monotonic() - begun:.0f}"
                table.add_row(mutant.name, mutant.what, caught or "[red]nothing[/]", seconds)
    Console(width=None if sys.stdout.isatty() else 160).print(table)
    if survived:
        raise typer.Exit(1)


def _caught(copy: Path, mutant: Mutant) -> str:
    """Return the first test that fails with *mutant*."""
    sources: dict[Path, str] = {}
    try:
        for edit in mutant.edits:
            path = copy / "inventory_grpc" / edit.file
            source = sources[path] = path.read_text("utf-8")
            if source.count(edit.old) != 1:
                what = f"{mutant.name}: {edit.file} has changed; so must the mutant"
                raise typer.BadParameter(what)
            path.write_text(source.replace(edit.old, edit.new), "utf-8")
        return _failing(copy, mutant.caught_by)
    finally:
        for path, source in sources.items():
            path.write_text(source, "utf-8")


def _failing(copy: Path, tests: str) -> str:
    """Run *tests*; return the first that fails, or nothing."""
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider"]
    try:
        ran = subprocess.run(
            [*command, *tests.split()],
            cwd=copy,
            capture_output=True,
            check=False,
            text=True,
            timeout=SECONDS,
        )
    except subprocess.TimeoutExpired:
        return "(it hangs)"
    found = re.search(
        r"^(?:FAILED|ERROR) \S*?(?:::)?(test_\w+)(?:\[| |$)", ran.stdout, re.MULTILINE
    )
    if ran.returncode and not found:
        raise RuntimeError(ran.stdout + ran.stderr)
    return found[1] if found else ""


if __name__ == "__main__":
    app()
