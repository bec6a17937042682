"""The commands that import and export files, over gRPC.

What they do is imported when they are used: it imports gRPC, which would slow all other commands.
"""

import inspect
from pathlib import Path, PurePath
from typing import Annotated, Any, Final

import typer

from inventory_grpc.cli.calls.options import SESSION
from inventory_grpc.cli.files.options import Format, format_of

_PANEL: Final = "Call a server"
_STANDARD: Final = "-"


def add_to(app: typer.Typer) -> None:
    """Add the commands to *app*."""
    app.command("import", rich_help_panel=_PANEL)(_import)


def _parameter(name: str, kind: Any, default: object, how: Any) -> inspect.Parameter:  # noqa: ANN401  typer's own
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[kind, how]
    )


_FORMAT: Final = _parameter(
    "format",
    Format | None,
    None,
    typer.Option("--format", help="The format of the file. [by its suffix]"),
)


def _import(**options: Any) -> None:  # noqa: ANN401  those below
    """Add the units of a file to the stocks: one row for each delivery of a product to a store.

    A CSV file has the names of its columns in the first row, and commas, semicolons or tabs
    between the values; in JSON lines, each line is an object.

    - Each row has a `product_id`, a `store_id` and a `quantity`, which is a whole number.

    - A row may have a `state`, a `reason`, a `reference`, an `occur_time`, and a `request_id`.

    It can be run again after an interruption: no row is recorded twice within the server's
    `remember_days`. A row is known by the name of the import, by its values, and by how many
    equal rows come before it. So bad rows may be mended, and rows may be added or moved, between
    two runs, and equal rows of one file all count. A row that was recorded and is then changed is
    a new row, and adds its units too. A file with the name of an earlier one is taken for the
    same delivery, unless it has another `--name`.

    It exits with 3 if there were bad rows; the others are recorded.

    Example: `inventory-grpc import deliveries.csv --rejects bad-rows.csv`

    deliveries.csv: `product_id,store_id,quantity,reference`, then `kettle,lisbon,5,delivery-7`
    """
    path, name = options["file"], options["name"]
    if path == _STANDARD and not name:
        raise typer.BadParameter("give a --name to the rows of standard input")
    form = format_of(path, options["format"])
    from inventory_grpc.cli.calls.session import session_of  # noqa: PLC0415  imports gRPC
    from inventory_grpc.cli.files.importing import Import, run  # noqa: PLC0415  as above

    run(
        session_of(**{one.name: options[one.name] for one in SESSION}),
        Import(
            path,
            form,
            options["encoding"],
            name or PurePath(path).name,
            options["rejects"],
            options["dry_run"],
        ),
    )


_import.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
    [
        _parameter(
            "file",
            str,
            inspect.Parameter.empty,
            typer.Argument(metavar="FILE", help="The file; - is standard input."),
        ),
        _FORMAT,
        _parameter(
            "name",
            str | None,
            None,
            typer.Option(
                "--name", help="Rows of one name are recorded once. [the name of the file]"
            ),
        ),
        _parameter(
            "encoding",
            str | None,
            None,
            typer.Option("--encoding", help="The encoding of the text. [by its mark, else utf-8]"),
        ),
        _parameter(
            "rejects",
            Path | None,
            None,
            typer.Option("--rejects", help="File for the bad rows. [standard error]"),
        ),
        _parameter(
            "dry_run",
            bool,
            False,  # noqa: FBT003  a default
            typer.Option("--dry-run", help="Check all rows, and record nothing."),
        ),
        *SESSION,
    ]
)
