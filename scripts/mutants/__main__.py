"""Mutation test: deliberate faults, each of which at least one test must notice.

Each mutant changes a copy of the sources, and names the tests that must fail with it. These
tests must first pass on an unchanged copy.
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
"""Timeout of the tests of one mutant."""

app = typer.Typer(add_completion=False)
_screen = Console(stderr=True)


@app.command()
def main(
    only: Annotated[
        list[str] | None, typer.Argument(help="Names of mutants, such as M7; by default all.")
    ] = None,
) -> None:
    """Break the service on purpose, and show which test notices; exit with 1 if none does."""
    names = {mutant.name for mutant in MUTANTS}
    if unknown := set(only or ()) - names:
        raise typer.BadParameter(f"there is no mutant {', '.join(sorted(unknown))}")
    chosen = [mutant for mutant in MUTANTS if not only or mutant.name in only]
    table = Table("mutant", "fault", "caught by", "seconds")
    survived = 0
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        for name in COPIED:
            source = ROOT / name
            (shutil.copytree if source.is_dir() else shutil.copy)(source, copy / name)
        with _screen.status("running the tests on an unchanged copy") as status:
            healthy = _failing(copy, " ".join({mutant.caught_by for mutant in chosen}))
            if healthy:
                _screen.print(f"[red]{healthy}[/] fails on an unchanged copy")
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
    """Return the first test that fails with *mutant*, or an empty string."""
    sources: dict[Path, str] = {}
    try:
        for edit in mutant.edits:
            path = copy / "inventory_grpc" / edit.file
            source = sources[path] = path.read_text("utf-8")
            if source.count(edit.old) != 1:
                what = f"{mutant.name} does not apply to {edit.file}: adapt the mutant"
                raise typer.BadParameter(what)
            path.write_text(source.replace(edit.old, edit.new), "utf-8")
        return _failing(copy, mutant.caught_by)
    finally:
        for path, source in sources.items():
            path.write_text(source, "utf-8")


def _failing(copy: Path, tests: str) -> str:
    """Run *tests*; return the first that fails, or an empty string."""
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
        return "(timeout)"
    found = re.search(
        r"^(?:FAILED|ERROR) \S*?(?:::)?(test_\w+)(?:\[| |$)", ran.stdout, re.MULTILINE
    )
    if ran.returncode and not found:
        raise RuntimeError(ran.stdout + ran.stderr)
    return found[1] if found else ""


if __name__ == "__main__":
    app()
