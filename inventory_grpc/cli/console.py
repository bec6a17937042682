"""The command that serves the web console."""

import inspect
import os
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from inventory_grpc.addresses import Address
from inventory_grpc.bad_setting import BadSetting
from inventory_grpc.cli.calls.options import SESSION
from inventory_grpc.cli.common import errors, show

DEFAULT_LISTEN: Final = "127.0.0.1:8095"

_OF_THE_SERVER: Final = ("server", "token_file", "ca")
_PANEL: Final = "People on other machines"


def console(
    *,
    listen: Annotated[
        str, typer.Option(help="HOST:PORT to serve the console on.")
    ] = DEFAULT_LISTEN,
    write: Annotated[
        bool, typer.Option("--write", help="Offer corrections, and not only a view.")
    ] = False,
    tls_certificate: Annotated[
        Path | None,
        typer.Option(help="PEM file of a certificate chain: HTTPS.", rich_help_panel=_PANEL),
    ] = None,
    tls_key: Annotated[
        Path | None, typer.Option(help="PEM file of its private key.", rich_help_panel=_PANEL)
    ] = None,
    name: Annotated[
        list[str] | None,
        typer.Option(
            help="A name of this machine in the URL; again for more.", rich_help_panel=_PANEL
        ),
    ] = None,
    **session: Any,  # noqa: ANN401  the options of every call
) -> None:
    """Serve a web console: stock, reservations and events in a browser, live.

    It shows and calls what the token in --token-file may. With TLS, each person signs in with a
    token of their own; without it, only this machine can reach the console.

    Example: `inventory-grpc console --server 127.0.0.1:50051`
    """
    with errors():
        if find_spec("starlette") is None or find_spec("uvicorn") is None:
            raise BadSetting(
                "starlette or uvicorn is not installed; pip install 'inventory-grpc[console]'"
            )
        address = Address.read("--listen", listen)
        token_file: Path | None = session["token_file"]
        token = token_file.read_text("utf-8").strip() if token_file else None
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    from inventory_grpc.console import options, serving  # noqa: PLC0415  imports gRPC and Starlette

    chosen = options.Options(
        address.host,
        address.port,
        address.is_loopback,
        session["server"],
        token,
        session["ca"],
        write,
        tls_certificate,
        tls_key,
        name or [],
    )

    def ready(url: str) -> None:
        may = "offers corrections" if write else "is read-only"
        show(f"the console is on {url} for the server {chosen.server}, and {may}")

    with errors():
        try:
            chosen.check()
            serving.serve(chosen, ready)
        except (options.BadOptions, TypeError, ValueError) as error:
            raise BadSetting(str(error)) from error


_own: Final = inspect.signature(console).parameters.values()
console.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
    [
        *(one for one in _own if one.kind is not one.VAR_KEYWORD),
        *(one for one in SESSION if one.name in _OF_THE_SERVER),
    ]
)
