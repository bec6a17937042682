"""The options of all commands that call a server. It imports no gRPC, which would slow `--help`."""

import inspect
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Final

import typer

SERVER_VARIABLE: Final = "INVENTORY_SERVER"
DEFAULT_SERVER: Final = "127.0.0.1:50051"


class Output(Enum):
    TABLE = "table"
    JSON = "json"
    CSV = "csv"


def _option(name: str, kind: Any, default: object, *names: str, **more: Any) -> inspect.Parameter:  # noqa: ANN401  typer's own
    return inspect.Parameter(
        name,
        inspect.Parameter.KEYWORD_ONLY,
        default=default,
        annotation=Annotated[kind, typer.Option(*names, **more)],
    )


LIMIT: Final = _option("limit", int, 100, "--limit", min=1, max=100_000, help="The most rows.")
PRODUCT: Final = _option(
    "product", list[str] | None, None, "--product", help="Only this product; again for more."
)
STORE: Final = _option(
    "store", list[str] | None, None, "--store", help="Only this store; again for more."
)
_PANEL: Final = {"rich_help_panel": "Server and output"}
SESSION: Final = (
    _option(
        "server",
        str,
        DEFAULT_SERVER,
        "--server",
        "-s",
        envvar=SERVER_VARIABLE,
        help="HOST:PORT of the server.",
        **_PANEL,
    ),
    _option("token_file", Path | None, None, "--token-file", help="File with a token.", **_PANEL),
    _option("ca", Path | None, None, "--ca", help="PEM file of authorities, for TLS.", **_PANEL),
    _option(
        "output",
        Output | None,
        None,
        "--output",
        "-o",
        help="The form of the answer. [table on a terminal, else json]",
        **_PANEL,
    ),
    _option("quiet", bool, False, "--quiet", "-q", help="Write the answer alone.", **_PANEL),  # noqa: FBT003  a default
    _option("timeout", float, 10.0, "--timeout", min=0.01, help="Seconds to wait.", **_PANEL),
)
