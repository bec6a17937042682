"""The command that shows the log's clock beside the wall clock, and resets it."""

from typing import Annotated

import typer

from inventory_grpc.cli.common import DatabaseOption, errors, existing, show
from inventory_grpc.infrastructure.sqlite.log_time import LogTime, adopt_wall, log_time


def clock(
    database: DatabaseOption = None,
    *,
    adopt: Annotated[
        bool,
        typer.Option(
            "--adopt-wall", help="Set the log's clock to the wall clock; no server may be running."
        ),
    ] = False,
) -> None:
    """Show the log's clock beside the wall clock; with --adopt-wall, reset it.

    Until the machine restarts, all servers share one clock, which does not follow changes of the
    wall clock. A restart of the machine adopts the wall clock, and so does --adopt-wall: check
    the wall clock first. If it is ahead, reservations due by then expire, and request ids older
    than `remember_days` by then are forgotten. Times in the log never decrease: if it is behind
    the last event, the clock continues from that event.

    Example: `inventory-grpc clock -d shop.db`
    """
    with errors():
        file = existing(database)
        time = adopt_wall(file) if adopt else log_time(file)
    for line in _lines(time):
        print(line)  # noqa: T201  the result
    if adopt and time.log > time.wall:
        show("the log's clock continues from its last event: times in the log never decrease")


def _lines(time: LogTime) -> list[str]:
    ahead = (time.wall - time.log) / 1e6
    differs = f"{abs(ahead):,.0f} s {'ahead' if ahead >= 0 else 'behind'}"
    how = "kept since the last boot" if time.is_kept else "of the next server to start"
    last = f"{time.last.isoformat()} at position {time.position:,}" if time.position else "none"
    return [
        f"log's time  {time.log.isoformat()}, {how}",
        f"wall clock  {time.wall.isoformat()}, {differs}",
        f"last event  {last}",
    ]
