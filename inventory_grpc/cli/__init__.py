"""The command line, `inventory-grpc`; each module has the commands of one subject."""

from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from typing import Annotated, Final

import typer

from inventory_grpc.cli import (
    access,
    adopt,
    backup,
    calls,
    clock,
    console,
    copy,
    files,
    health,
    log,
    migrate,
    relay,
    serve,
)

app = typer.Typer(
    help="An inventory service for many stores: stock, carts and an event log, over gRPC.\n\n"
    "Example: `inventory-grpc serve -d shop.db` in one terminal; in another one, "
    "`inventory-grpc stock add kettle lisbon 5`, then `inventory-grpc watch`.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)
_PANELS: Final[Mapping[str, Sequence[Callable[..., None]]]] = {
    "Run a server": (serve.serve, health.health, access.token),
    "Look after a log": (
        log.events,
        log.verify,
        log.rebuild,
        backup.backup,
        log.restore,
        copy.copy,
        adopt.adopt,
        migrate.migrate,
        clock.clock,
        log.repair,
    ),
}

calls.add_to(app)
files.add_to(app)
app.command(rich_help_panel=calls.PANEL)(console.console)
app.command(rich_help_panel=calls.PANEL)(relay.relay)
for panel, commands in _PANELS.items():
    for command in commands:
        app.command(rich_help_panel=panel)(command)


def _show_version(wanted: bool) -> None:  # noqa: FBT001  what typer passes
    if wanted:
        print(f"inventory-grpc {version('inventory-grpc')}")  # noqa: T201  the answer
        raise typer.Exit


@app.callback()
def _options(
    *,
    show_version: Annotated[
        bool,
        typer.Option("--version", is_eager=True, callback=_show_version, help="Show the version."),
    ] = False,
) -> None:
    pass


def main() -> None:
    app()
