"""The commands that import and export files, over gRPC.

What they do is imported when they are used: it imports gRPC, which would slow all other commands.
"""

import inspect
from pathlib import Path, PurePath
from typing import Annotated, Any, Final

import typer

from inventory_grpc.cli.calls.options import PRODUCT, SESSION, STORE
from inventory_grpc.cli.files.options import STANDARD, Format, Rows, format_of

_PANEL: Final = "Call a server"


def add_to(app: typer.Typer) -> None:
    """Add the commands to *app*."""
    app.command("import", rich_help_panel=_PANEL)(_import)
    app.command("export", rich_help_panel=_PANEL)(_export)


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


_ROWS: Final = _parameter(
    "rows",
    Rows,
    Rows.STOCK,
    typer.Option("--rows", help="Stocks, or the products or stores of the catalogue."),
)


def _import(**options: Any) -> None:  # noqa: ANN401  those below
    """Add the units of a file to the stocks, or put its products or stores into the catalogue.

    A CSV file has the names of its columns in the first row, and commas, semicolons or tabs
    between the values; in JSON lines, each line is an object. A row has

    - `product_id`, `store_id` and `quantity`, and it may have the `state` of the units;

    - with `--rows products`: `product_id`, and it may have `sku`, `name`, `attributes`, `state`;

    - with `--rows stores`: `store_id` and `kind`, and it may have `name`, `groups`, `state`;

    - in all of these it may have `reason`, `reference`, `occur_time` and `request_id`.

    It can be run again after an interruption: no delivery is recorded twice within the server's
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
    if path == STANDARD and not name:
        raise typer.BadParameter("give a --name to the rows of standard input")
    form = format_of(path, options["format"])
    from inventory_grpc.cli.calls.session import session_of  # noqa: PLC0415  imports gRPC
    from inventory_grpc.cli.files.importing import Import, run  # noqa: PLC0415  as above

    run(
        session_of(**{one.name: options[one.name] for one in SESSION}),
        Import(
            path,
            options["rows"],
            form,
            options["encoding"],
            name or PurePath(path).name,
            options["rejects"],
            options["dry_run"],
        ),
    )


def _export(**options: Any) -> None:  # noqa: ANN401  as above
    """Write the stocks, or the catalogue, into a file that `import` reads.

    All rows are as of one position of the log, which each of them names, although sales go on
    meanwhile. A stock has a row for its units in each state, with the levels of the whole stock.
    The file is there as a whole or not at all.

    Example: `inventory-grpc export stocks.csv --store lisbon`
    """
    form = format_of(options["file"], options["format"])
    from inventory_grpc.cli.calls.session import session_of  # noqa: PLC0415  imports gRPC
    from inventory_grpc.cli.files.exporting import Export, run  # noqa: PLC0415  as above

    rows: Rows = options["rows"]
    if rows is not Rows.STOCK and (options["product"] or options["store"]):
        raise typer.BadParameter(
            "--product and --store choose stocks; all of a catalogue is written"
        )
    filters = {}
    if rows is Rows.STOCK:
        filters = {"product_ids": options["product"] or [], "store_ids": options["store"] or []}
    session = {one.name: options[one.name] for one in _WITHOUT_OUTPUT}
    run(session_of(**session, output=None), Export(options["file"], rows, form, filters))


_WITHOUT_OUTPUT: Final = [one for one in SESSION if one.name != "output"]
_export.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
    [
        _parameter(
            "file",
            str,
            inspect.Parameter.empty,
            typer.Argument(metavar="FILE", help="The file; - is standard output."),
        ),
        _ROWS,
        _FORMAT,
        PRODUCT,
        STORE,
        *_WITHOUT_OUTPUT,
    ]
)
_import.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
    [
        _parameter(
            "file",
            str,
            inspect.Parameter.empty,
            typer.Argument(metavar="FILE", help="The file; - is standard input."),
        ),
        _ROWS,
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
