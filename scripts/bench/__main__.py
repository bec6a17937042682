"""Measures the service beside what gRPC in Python can do on this machine; see `--help`."""

import signal
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from scripts.bench import figures, report
from scripts.bench.measuring import Options
from scripts.bench.run import FAILED, LONG, NoSuchCase, chosen, measured

_screen = Console(stderr=True)


def main(  # noqa: PLR0913  each of them is an option
    *,
    seconds: Annotated[
        float, typer.Option(min=0.1, max=60, help="How long each measurement takes.")
    ] = 1.5,
    repeat: Annotated[int, typer.Option(min=1, max=100, help="How often each is repeated.")] = 5,
    callers: Annotated[int, typer.Option(min=1, max=384, help="Callers at once.")] = 64,
    stocks: Annotated[int, typer.Option(min=100, max=100_000, help="Stocks there are.")] = 2_000,
    only: Annotated[
        str,
        typer.Option(
            help="Some of: reads commands carts bulk catch-up followers workers, "
            "sweep, growth disk histories, h2load, in-process, profile. None: the first seven."
        ),
    ] = "",
    sweep: Annotated[
        bool, typer.Option("--sweep", help="Also from 1 to 256 callers: a minute more.")
    ] = False,
    growth: Annotated[
        bool,
        typer.Option(
            "--growth", help="Also growth, disk and histories: as long as --events takes."
        ),
    ] = False,
    events: Annotated[
        int,
        typer.Option(
            min=10_000,
            max=10_000_000,
            help="How far the log grows for --growth: 10,000,000 takes a quarter of an hour.",
        ),
    ] = 1_000_000,
    with_h2load: Annotated[
        bool, typer.Option("--h2load", help="Also with h2load, to check the generator by.")
    ] = False,
    with_profile: Annotated[
        bool, typer.Option("--profile", help="Also where the time of the servers goes, by perf.")
    ] = False,
    beside: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            file_okay=False,
            help="Another checkout for in-process, in turns with this.",
        ),
    ] = None,
    folder: Annotated[
        Path | None,
        typer.Option(
            exists=True, file_okay=False, help="Whose disk to use. None: that of temporary files."
        ),
    ] = None,
    json: Annotated[Path | None, typer.Option(help="Write every sample to this file.")] = None,
    show: Annotated[
        Path | None,
        typer.Option(
            exists=True, dir_okay=False, help="Measure nothing: show what --json has written."
        ),
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(file_okay=False, help="Draw what has an axis, into this folder.")
    ] = None,
    into: Annotated[
        Path | None,
        typer.Option(
            exists=True, dir_okay=False, help="Put the tables into this README, at their place."
        ),
    ] = None,
) -> None:
    """Measure the real server beside a gRPC server that does nothing.

    The real one runs as `inventory-grpc serve` does: every interceptor,
    a line in the log for each call, everything on disk before it is answered.
    The server that does nothing gets the same requests from the same callers,
    right before; SQLite alone writes and reads the same rows.

    Callers never pause. They share this machine with the servers, whose
    figures are therefore of use beside each other only. Everything is
    measured in turns, several times: what counts is the median of the ratios.

    Ends with 0 whatever the figures are, and with 1 if something failed or
    was interrupted; what was measured until then is shown, and kept by --json.
    """
    more = [
        *("sweep",) * sweep,
        *(LONG if growth else ()),
        *("h2load",) * with_h2load,
        *("profile",) * with_profile,
    ]
    try:
        names = chosen(only.split(), *more)
    except NoSuchCase as error:
        raise typer.BadParameter(str(error), param_hint="--only") from None
    if show:
        found = figures.read(show)
    else:
        options = Options(seconds, repeat, callers, stocks, events, beside and beside.resolve())
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # shows what it has, as Ctrl-C
        found = measured(options, names, folder, _screen)
    report.show(Console(width=None if sys.stdout.isatty() else 120), found)
    if json:
        figures.write(json, found)
    if failure := found.facts.get(FAILED):
        sys.exit(f"bench: {failure}")
    if into:
        into.write_text(report.put(into.read_text("utf-8"), found), "utf-8")
    if plot:
        from scripts.bench import plots  # noqa: PLC0415  needs what may not be installed

        for path in plots.draw(found.groups, plot):
            _screen.print(f"drawn: {path}")


if __name__ == "__main__":
    typer.run(main)
