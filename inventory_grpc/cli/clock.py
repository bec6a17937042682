"""The command that shows the log's time beside the wall clock's, and sets it anew."""

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
            "--adopt-wall", help="Set the log's time to the wall clock; no server may be running."
        ),
    ] = False,
) -> None:
    """Show the log's time beside the wall clock's; with --adopt-wall, set it anew.

    All servers of one start of the machine share one time, whatever is done to the wall clock.
    A restart of the machine adopts the wall clock, and so does --adopt-wall: look at the wall
    clock first. If it is ahead, holds that are over by then are let go, and request ids that are
    older than `remember_days` by then are forgotten. Times in the log never go back: if it is
    behind the last event, time goes on from that event.
    """
    with errors():
        file = existing(database)
        time = adopt_wall(file) if adopt else log_time(file)
    for line in _lines(time):
        print(line)  # noqa: T201  the answer
    if adopt and time.log > time.wall:
        show("the log's time goes on from its last event: times in the log never go back")


def _lines(time: LogTime) -> list[str]:
    ahead = (time.wall - time.log) / 1e6
    differs = f"{abs(ahead):,.0f} s {'ahead' if ahead >= 0 else 'behind'}"
    how = "kept since the machine was started" if time.is_kept else "of the next server to start"
    last = f"{time.last.isoformat()} at position {time.position:,}" if time.position else "none"
    return [
        f"log's time  {time.log.isoformat()}, {how}",
        f"wall clock  {time.wall.isoformat()}, {differs}",
        f"last event  {last}",
    ]
