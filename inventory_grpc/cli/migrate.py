"""The command that changes the tables of a log in PostgreSQL."""

import os
from typing import Annotated

import typer

from inventory_grpc.application import failpoints
from inventory_grpc.bad_setting import BadSetting, shown
from inventory_grpc.cli.common import errors, show
from inventory_grpc.infrastructure.optional import with_driver
from inventory_grpc.server.environment import load


def migrate(
    url: Annotated[
        str | None,
        typer.Argument(
            metavar="[URL]",
            help="The URL of a database in PostgreSQL; without it, what is left to do is shown for "
            "that of INVENTORY_DATABASE.",
        ),
    ] = None,
    *,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what is left to do, and change nothing.")
    ] = False,
    finish: Annotated[
        bool,
        typer.Option(
            "--finish", help="Also make what servers of the release before cannot go on beside."
        ),
    ] = False,
    service_role: Annotated[
        str | None,
        typer.Option(help="Give this role the rights of a server, and no others on the tables."),
    ] = None,
) -> None:
    """Bring the tables of a log in PostgreSQL up to this release, while servers run.

    Run it as the owner of the tables, on PostgreSQL itself and not through a pooler, before
    servers of a new release start. In an empty schema it makes the tables. When the last server of
    the release before has ended, run it with --finish. If it was killed, run it again.

    Example: `inventory-grpc migrate postgresql:///inventory --service-role inventory`
    """
    with errors():
        failpoints.arm(os.environ.get(failpoints.VARIABLE, ""))
        place = load(database=url).place
        if not isinstance(place, str):
            raise BadSetting(
                f"database: {shown(str(place))} is a file, which servers upgrade when they open it"
            )
        migrating = with_driver("postgres.migrating")
        if url is None or dry_run:
            left = migrating.pending(place)
            if service_role is not None:
                for statement in migrating.statements_of_grants(place, service_role):
                    print(f"{statement};")  # noqa: T201  the result
            for what in left:
                print(what)  # noqa: T201  the result
            show("nothing is left to do" if not left else f"{len(left)} left to do")
            return
        migrating.migrate(place, show, finish=finish, service_role=service_role)
        show("the tables are those of this release")
