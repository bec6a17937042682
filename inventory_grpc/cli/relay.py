"""The command that publishes the events of a server to another system."""

from pathlib import Path
from typing import Annotated, Final

import typer

from inventory_grpc.choices import EventFormat, LogFormat
from inventory_grpc.cli.calls.options import DEFAULT_SERVER, SERVER_VARIABLE
from inventory_grpc.cli.common import EventTypes, Products, Stores

TARGET_VARIABLE: Final = "INVENTORY_RELAY_TARGET"


def relay(
    target: Annotated[
        str,
        typer.Argument(
            envvar=TARGET_VARIABLE,
            help="nats://USER:PASSWORD@HOST:PORT/STREAM for NATS JetStream, "
            "kafka://HOST:PORT,HOST:PORT/TOPIC for Kafka, or "
            "valkey://USER:PASSWORD@HOST:PORT/DB?stream=NAME for Valkey and Redis (also valkeys, "
            "redis, rediss). The stream or topic is `inventory` by default, and made if it is "
            "missing. https://HOST/PATH for a receiver of webhooks. Other users of the machine see "
            "a password among the arguments, and none in the variable.",
        ),
    ],
    server: Annotated[
        str,
        typer.Option("--server", "-s", envvar=SERVER_VARIABLE, help="HOST:PORT of the server."),
    ] = DEFAULT_SERVER,
    token_file: Annotated[
        Path | None, typer.Option("--token-file", help="File with a token of the server.")
    ] = None,
    ca: Annotated[
        Path | None, typer.Option("--ca", help="PEM file of authorities, for TLS to the server.")
    ] = None,
    form: Annotated[
        EventFormat | None,
        typer.Option(
            "--format",
            help="The body: an `inventory.v1.Event` in protobuf, or in JSON with the headers of "
            "CloudEvents. [protobuf; json for webhooks]",
        ),
    ] = None,
    secret_file: Annotated[
        Path | None,
        typer.Option("--secret-file", help="File with the secrets that sign webhooks, one a line."),
    ] = None,
    place_file: Annotated[
        Path | None,
        typer.Option(
            "--place-file",
            help="File that keeps the place of a receiver of webhooks that does not tell it.",
        ),
    ] = None,
    event_type: EventTypes = None,
    product: Products = None,
    store: Stores = None,
    after: Annotated[
        int,
        typer.Option(min=0, help="Begin an empty target with the events after this position."),
    ] = 0,
    until_head: Annotated[
        bool, typer.Option("--until-head", help="End at the end of the log.")
    ] = False,
    metrics_listen: Annotated[
        str | None,
        typer.Option(
            envvar="INVENTORY_RELAY_METRICS_LISTEN",
            help="HOST:PORT that serves /metrics and /healthz, to all who can reach it.",
        ),
    ] = None,
    log_format: Annotated[
        LogFormat, typer.Option(envvar="INVENTORY_LOG_FORMAT", help="The form of log lines.")
    ] = LogFormat.AUTO,
) -> None:
    """Publish the events of a server to another system, each once and in order.

    The target itself tells which event was the last, so the relay has no state: start it anew at
    any time, on any machine. Of two relays to one target, one is refused and ends. After a
    failure of the target it tries again until SIGTERM, which ends it between two batches.

    Example: `inventory-grpc relay nats://127.0.0.1:4222 --store lisbon`
    """
    from inventory_grpc.cli.relaying import Ends, run  # noqa: PLC0415  imports gRPC

    filters = {
        name: given
        for name, given in {
            "event_types": event_type,
            "product_ids": product,
            "store_ids": store,
        }.items()
        if given
    }
    is_webhook = target.startswith("http")
    run(
        Ends(target, server, token_file, ca, secret_file, place_file),
        metrics_listen=metrics_listen,
        log_format=log_format,
        form=form or (EventFormat.JSON if is_webhook else EventFormat.PROTOBUF),
        filters=filters,
        after=after,
        stop_at_head=until_head,
    )
