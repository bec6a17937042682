"""The command that serves."""

import asyncio
import os
from pathlib import Path
from typing import Annotated

import typer

from inventory_grpc.application import failpoints
from inventory_grpc.cli.common import DatabaseOption, errors, show_error
from inventory_grpc.infrastructure.sqlite.connection import Durability
from inventory_grpc.logs import set_up_logging
from inventory_grpc.process import Link
from inventory_grpc.settings import LogFormat, Settings
from inventory_grpc.supervisor import supervise


def serve(
    listen: Annotated[
        str | None, typer.Option(help="HOST:PORT. [INVENTORY_LISTEN; else 127.0.0.1:50051]")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(help="Processes that serve together. [INVENTORY_WORKERS; else 1]")
    ] = None,
    database: DatabaseOption = None,
    durability: Annotated[
        Durability | None,
        typer.Option(help="`full`: on disk before it is answered. `relaxed`: soon after."),
    ] = None,
    tls_certificate: Annotated[
        Path | None, typer.Option(help="PEM file to serve TLS with; needs --tls-key.")
    ] = None,
    tls_key: Annotated[Path | None, typer.Option(help="PEM file of its private key.")] = None,
    callers: Annotated[
        Path | None, typer.Option(help="TOML file of who may call; see `inventory-grpc token`.")
    ] = None,
    allow_plaintext: Annotated[
        bool | None,
        typer.Option("--allow-plaintext", help="Serve other machines without encryption."),
    ] = None,
    allow_anonymous: Annotated[
        bool | None,
        typer.Option("--allow-anonymous", help="Serve other machines without asking who calls."),
    ] = None,
    log_format: Annotated[LogFormat | None, typer.Option(help="How log lines look.")] = None,
    worker: Annotated[int | None, typer.Option(hidden=True)] = None,
) -> None:
    """Serve the API until SIGTERM or Ctrl-C; a second one leaves at once.

    Every setting can also be given as INVENTORY_ and its name; the README has them all.
    """
    with errors():
        link = Link.of_worker(worker) if worker else None
    with errors(link.failed if link else show_error):
        settings = Settings.load(
            listen=listen,
            workers=workers,
            database=database,
            durability=durability,
            tls_certificate=tls_certificate,
            tls_key=tls_key,
            callers=callers,
            allow_plaintext=allow_plaintext,
            allow_anonymous=allow_anonymous,
            log_format=log_format,
        )
        set_up_logging(settings.log_format, worker)
        failpoints.arm(os.environ.get(failpoints.VARIABLE, ""))
        # it writes lines of its own, in its own format, for what any caller can send
        os.environ.setdefault("GRPC_VERBOSITY", "NONE")
        if settings.workers > 1 and not link:
            asyncio.run(supervise(settings))
            return
        from inventory_grpc import lifetime  # noqa: PLC0415  grpc takes a while to import, and `--help` and a supervisor need not wait

        lifetime.serve(settings, link)
