"""Measures the service beside what gRPC in Python can do on this machine; see `--help`."""

import signal
import sys
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console

from scripts.bench import documents, report, results
from scripts.bench.measuring import Options
from scripts.bench.run import BRIEF, CASES, NoSuchCase, chosen, measured

_BRIEF: Final = " ".join(BRIEF)
_LONG: Final = " ".join(name for name in CASES if name not in BRIEF)
_screen = Console(stderr=True)


def main(  # noqa: PLR0913  each of them is an option
    *,
    seconds: Annotated[
        float, typer.Option(min=0.1, max=60, help="Duration of each measurement.")
    ] = 1.5,
    repeat: Annotated[
        int, typer.Option(min=1, max=100, help="Repetitions of each measurement.")
    ] = 5,
    callers: Annotated[int, typer.Option(min=1, max=384, help="Concurrent callers.")] = 64,
    stocks: Annotated[int, typer.Option(min=100, max=100_000, help="Number of stocks.")] = 2_000,
    only: Annotated[
        str, typer.Option(help="Names of the parts to measure.", show_default=_BRIEF)
    ] = _BRIEF,
    also: Annotated[str, typer.Option(help=f"Names of further parts: {_LONG}.")] = "",
    events: Annotated[
        int,
        typer.Option(
            min=10_000,
            max=10_000_000,
            help="Size of the largest log in growth; 10,000,000 takes a quarter of an hour.",
        ),
    ] = 1_000_000,
    beside: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            file_okay=False,
            help="Another checkout, which in-process measures in turns with this one.",
        ),
    ] = None,
    postgres: Annotated[
        str | None,
        typer.Option(metavar="URL", help="A database in PostgreSQL, for the part engines."),
    ] = None,
    json: Annotated[Path | None, typer.Option(help="Write the results to this file.")] = None,
    show: Annotated[
        Path | None,
        typer.Option(
            exists=True, dir_okay=False, help="Measure nothing, and show the results in this file."
        ),
    ] = None,
    publish: Annotated[
        bool,
        typer.Option(
            "--publish",
            help="Put the results into the documents and plots; parts not measured keep theirs.",
        ),
    ] = False,
) -> None:
    """Measure the real server beside a gRPC server that does nothing.

    The real server runs as `inventory-grpc serve` does: with every interceptor,
    a log line for each call, and everything on disk before it is answered. The
    empty server gets the same requests from the same callers right before, and
    SQLite alone writes and reads the same rows.

    Callers never pause. They share the machine with the servers, so rates are
    only of use beside each other. Everything is measured in turns, several
    times; the median of the ratios counts.

    The exit status is 0 whatever the figures are, and 1 after a failure or an
    interrupt; what was measured until then is shown, and written by --json.
    """
    try:
        names = chosen(only.split(), also.split())
    except NoSuchCase as error:
        raise typer.BadParameter(str(error), param_hint="--only, --also") from None
    failure = None
    if show:
        parts = results.read(show)
    else:
        options = Options(
            seconds, repeat, callers, stocks, events, beside and beside.resolve(), postgres
        )
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: show what there is
        parts, failure = measured(options, names, _screen)
    report.show(Console(width=None if sys.stdout.isatty() else 120), parts)
    if json:
        results.write(json, parts)
    if failure:
        sys.exit(f"bench: {failure}")
    if publish:
        documents.publish(parts)
        from scripts.bench import plots  # noqa: PLC0415  needs the extra `bench`

        plots.draw(results.read(results.KEPT), plots.FOLDER)


if __name__ == "__main__":
    typer.run(main)
