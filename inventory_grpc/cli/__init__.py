"""The command line, `inventory-grpc`: each command stands in a file of its subject."""

import typer

from inventory_grpc.cli import access, log, serve

app = typer.Typer(
    help="An inventory service for many stores: carts, counts and an event log, over gRPC.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)
for command in (serve.serve, log.events, log.verify, log.rebuild, log.backup, access.token):
    app.command()(command)


def main() -> None:
    """Run the command line."""
    app()
