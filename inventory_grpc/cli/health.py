"""The command that checks the health of a server."""

import asyncio
import os
from pathlib import Path
from typing import Annotated, Final

import typer

from inventory_grpc.cli.common import errors
from inventory_grpc.server.environment import variable
from inventory_grpc.settings import Settings

PROBE_SECONDS: Final = 3.0
"""The default timeout of a probe."""


def health(
    server: Annotated[
        str | None,
        typer.Option(help="HOST:PORT. [INVENTORY_LISTEN; else 127.0.0.1:50051]"),
    ] = None,
    service: Annotated[
        str, typer.Option(help="One service, such as inventory.v1.InventoryCommands. [all]")
    ] = "",
    ca: Annotated[
        Path | None,
        typer.Option(help="PEM file of authorities of the server; not needed on this machine."),
    ] = None,
    certificate: Annotated[
        Path | None,
        typer.Option(help="PEM file of the client's certificate, for a server with tls_client_ca."),
    ] = None,
    key: Annotated[Path | None, typer.Option(help="PEM file of its private key.")] = None,
    token_file: Annotated[
        Path | None, typer.Option(help="File with a token, for a server with health=token.")
    ] = None,
    timeout: Annotated[float, typer.Option(min=0.01, help="Seconds to wait.")] = PROBE_SECONDS,
) -> None:
    """Check the health of a server; exit with 0 if it is SERVING, and with 1 otherwise.

    With a server on this machine, TLS is used if the server has it, and its certificate is not
    verified. A Kubernetes probe can run this command in the server's container.

    Example: `inventory-grpc health --service inventory.v1.InventoryCommands`
    """
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    with errors():
        from inventory_grpc.cli.probe import Probe  # noqa: PLC0415  grpc would slow down `--help`

        where = server or os.environ.get(variable("listen")) or Settings.listen
        probe = Probe(where, ca, certificate, key, token_file)
        status = asyncio.run(probe.status(service, timeout))
        print(status)  # noqa: T201  the result
        if status != "SERVING":
            raise typer.Exit(1)
