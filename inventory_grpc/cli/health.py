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
"""How long a probe waits for its answer, unless told otherwise."""


def health(
    server: Annotated[
        str | None,
        typer.Option(help="HOST:PORT. [INVENTORY_LISTEN; else 127.0.0.1:50051]"),
    ] = None,
    service: Annotated[
        str, typer.Option(help="Its full name, such as inventory.v1.InventoryCommands; else all.")
    ] = "",
    ca: Annotated[
        Path | None,
        typer.Option(help="PEM file of authorities to verify the server with; not needed here."),
    ] = None,
    certificate: Annotated[
        Path | None, typer.Option(help="PEM file to show, where the server has tls_client_ca.")
    ] = None,
    key: Annotated[Path | None, typer.Option(help="PEM file of its private key.")] = None,
    token_file: Annotated[
        Path | None, typer.Option(help="File of a token, where the server has health=token.")
    ] = None,
    timeout: Annotated[float, typer.Option(min=0.01, help="Seconds to wait.")] = PROBE_SECONDS,
) -> None:
    """Ask a server for its health; exit with 0 if it is SERVING, and with 1 otherwise.

    A server on this machine is asked with TLS if it speaks TLS; its certificate is not
    verified. A probe of Kubernetes runs this command in the container of the server.
    """
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    with errors():
        from inventory_grpc.cli.probe import Probe  # noqa: PLC0415  it imports grpc, and `--help` need not wait

        where = server or os.environ.get(variable("listen")) or Settings.listen
        probe = Probe(where, ca, certificate, key, token_file)
        status = asyncio.run(probe.status(service, timeout))
        print(status)  # noqa: T201  the answer
        if status != "SERVING":
            raise typer.Exit(1)
