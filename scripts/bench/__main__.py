"""How fast is the service, beside what gRPC in Python can do here? Try it: `--help`."""

import asyncio
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from scripts.bench import machine, report
from scripts.bench.cases import Bench, Group, Options, WrongCount
from scripts.bench.h2load import H2loadFailed
from scripts.bench.servers import ServerFailed, echo_server, inventory_server
from scripts.bench.wire import CallFailed

_screen = Console(stderr=True)


def main(  # noqa: PLR0913  each of them is an option
    *,
    seconds: Annotated[
        float, typer.Option(min=0.1, max=60, help="How long each measurement takes.")
    ] = 2.0,
    repeat: Annotated[int, typer.Option(min=1, max=100, help="How often each is repeated.")] = 5,
    callers: Annotated[int, typer.Option(min=1, max=384, help="Callers at once.")] = 64,
    stocks: Annotated[int, typer.Option(min=10, max=100_000, help="Stocks there are.")] = 2_000,
    only: Annotated[
        str, typer.Option(help="Some of: reads commands carts catch-up. None: all.")
    ] = "",
    with_h2load: Annotated[
        bool,
        typer.Option("--h2load", help="Measure with h2load as well, where that is possible."),
    ] = False,
    folder: Annotated[
        Path | None,
        typer.Option(
            exists=True, file_okay=False, help="Whose disk to use. None: that of temporary files."
        ),
    ] = None,
    json: Annotated[Path | None, typer.Option(help="Write every sample to this file.")] = None,
) -> None:
    """Measure the real server beside a gRPC server that does nothing.

    The real one runs as `inventory-grpc serve` does: every interceptor, a log line for each
    call, everything on disk before it is answered. Callers never pause; they share this
    machine with the servers, whose figures are therefore of use beside each other only.
    The server that does nothing gets the same requests from the same callers, right before.
    Everything is measured in turns, several times: what counts is the median of the ratios.

    Ends with 0 whatever the figures are.
    """
    options = Options(seconds, repeat, callers, stocks)
    names = only.split()
    with tempfile.TemporaryDirectory(prefix="bench-", dir=folder) as work:
        facts = machine.facts(Path(work))
        with echo_server(Path(work)) as echo, inventory_server(Path(work)) as inventory:
            bench = Bench(options, echo, inventory)
            groups = [bench.reads(), bench.commands(), bench.carts(), bench.catch_up()]
            if unknown := set(names) - {group.name for group in groups}:
                raise typer.BadParameter(f"there is no {', '.join(unknown)}", param_hint="--only")
            groups = [group for group in groups if not names or group.name in names]
            if with_h2load:
                groups.append(bench.h2load())
            asyncio.run(_measure(bench, groups, repeat))
    report.show(Console(width=None if sys.stdout.isatty() else 100), facts, groups)
    if json:
        report.write_json(json, facts, options, groups)


async def _measure(bench: Bench, groups: Sequence[Group], repeat: int) -> None:
    await bench.fill()
    columns = (TextColumn("{task.description:<10}"), BarColumn(), TimeElapsedColumn())
    # a bar that moves by itself would take time from what is measured
    with Progress(*columns, console=_screen, auto_refresh=False) as bars:
        bar = bars.add_task("", total=repeat * len(groups))
        for _ in range(repeat):
            for group in groups:
                bars.update(bar, description=group.name, refresh=True)
                await group.measure()
                bars.advance(bar)


if __name__ == "__main__":
    try:
        typer.run(main)
    except (CallFailed, H2loadFailed, ServerFailed, WrongCount) as error:
        sys.exit(f"bench: {error}")
