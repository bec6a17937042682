"""The command that gives a log in PostgreSQL another name after a failover or a restore."""

import os
import sys
from typing import Annotated, Any

import typer

from inventory_grpc.application import failpoints
from inventory_grpc.bad_setting import BadSetting
from inventory_grpc.cli.common import errors, named, show
from inventory_grpc.infrastructure.optional import with_driver


def adopt(
    url: Annotated[str, typer.Argument(metavar="URL", help="The URL of the log in PostgreSQL.")],
    *,
    restored: Annotated[
        bool,
        typer.Option(
            "--restored",
            help="Adopt it although nothing shows that it was restored, such as after a copy of "
            "PostgreSQL's files was put back.",
        ),
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")] = False,
) -> None:
    """Let a log in PostgreSQL go on after a failover or a restore, under a new log id.

    After a failover to a standby that had not received the last commits, or a restore of an older
    state, the log ends earlier than before. New events get the positions of the lost ones. Servers
    notice the change, and refuse writes until this command says that the log goes on here.

    It gives the log a new id from its last event on, and changes no event. Followers that read no
    further continue. Those that have read events beyond get OTHER_LOG, and must start over. Servers
    that have seen such events refuse with LOG_DAMAGED until they are restarted; all others accept
    writes within half a minute. Requests that were lost are executed if they are sent again.

    First stop the old primary for good: if it goes on, there are two logs. If all failovers lose
    nothing, because replication is synchronous, set INVENTORY_FAILOVER=trusted instead.

    Example: `inventory-grpc adopt postgresql://inventory@db.example.com/inventory`
    """
    with errors():
        failpoints.arm(os.environ.get(failpoints.VARIABLE, ""))
        place = named(url)
        if not isinstance(place, str):
            raise BadSetting(f"{url} is a file: `inventory-grpc restore` gives it a new log id")
        driver = with_driver("postgres.adopting")
        with driver.adoption(place) as adoption:
            found = adoption.found
            why = adoption.why(restored=restored)
            for line in _lines(found, why):
                print(line)  # noqa: T201  the result
            _confirm(yes=yes)
            done = adoption.adopt(why)
    show(f"the log is {done.log_id} from position {done.head:,} on, and servers may write to it")


def _lines(found: Any, why: str) -> list[str]:  # noqa: ANN401  of the optional driver
    last = f"position {found.head:,} of {found.time.isoformat()}" if found.head else "none"
    return [
        f"log         {found.log_id}",
        f"last event  {last}",
        f"it was at   {found.former or 'no place yet'}",
        f"it is at    {found.place}",
        f"so          {why}",
        "",
        f"Followers that have read up to position {found.head:,} at most continue. Those that have",
        "read further get OTHER_LOG, and must start over. The old primary must not run any more.",
    ]


def _confirm(*, yes: bool) -> None:
    """Ask for confirmation on a terminal.

    Raises:
        BadSetting: there is no terminal to ask on.
        Abort: the answer is no.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        raise BadSetting("to adopt the log without a terminal to confirm it on, use --yes")
    typer.confirm("Give the log a new id from here on", abort=True)
