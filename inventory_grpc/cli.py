"""What can be done from a shell?"""

import asyncio
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import apsw
import typer
from rich.console import Console

from inventory_grpc.application import failpoints
from inventory_grpc.application.ledger import LedgerBroken
from inventory_grpc.application.ports import StorageError
from inventory_grpc.application.reading import EventFilter
from inventory_grpc.domain.refusals import Refusal
from inventory_grpc.infrastructure.callers_file import BadCallers, hash_of, new_token
from inventory_grpc.infrastructure.codec import KIND_BY_NAME
from inventory_grpc.infrastructure.sqlite.backup import back_up
from inventory_grpc.infrastructure.sqlite.connection import Database, Durability
from inventory_grpc.infrastructure.sqlite.opening import InUse, rebuild_alone
from inventory_grpc.infrastructure.sqlite.replay import LogInconsistent
from inventory_grpc.infrastructure.sqlite.schema import NotOurs, check_header
from inventory_grpc.infrastructure.sqlite.verify import verify as differences
from inventory_grpc.logs import set_up_logging
from inventory_grpc.process import Link
from inventory_grpc.progress import progress_bar
from inventory_grpc.settings import BadSetting, LogFormat, Settings
from inventory_grpc.supervisor import WorkerFailed, supervise
from inventory_grpc.tail import print_events

app = typer.Typer(
    help="An inventory service for many stores: carts, counts and an event log, over gRPC.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)
_screen = Console(stderr=True)

DatabaseOption = Annotated[
    Path | None,
    typer.Option("--database", "-d", help="The file. [INVENTORY_DATABASE; else inventory.db]"),
]


@app.command()
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
    with _errors():
        link = Link.of_worker(worker) if worker else None
    with _errors(link.failed if link else _show_error):
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


@app.command()
def events(
    database: DatabaseOption = None,
    after: Annotated[int, typer.Option(min=0, help="Start after this position.")] = 0,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on with new events as they are recorded.")
    ] = False,
    event_type: Annotated[
        list[str] | None, typer.Option("--type", help="Only these facts, such as StockReserved.")
    ] = None,
    product: Annotated[list[str] | None, typer.Option(help="Only of these products.")] = None,
    store: Annotated[list[str] | None, typer.Option(help="Only of these stores.")] = None,
    reservation: Annotated[
        list[str] | None, typer.Option(help="Only of these reservations.")
    ] = None,
) -> None:
    """Print the event log as JSON lines, oldest first; servers may go on meanwhile."""
    if unknown := sorted(set(event_type or ()) - set(KIND_BY_NAME)):
        raise typer.BadParameter(
            f"unknown fact {unknown[0]}; choose from {', '.join(KIND_BY_NAME)}", param_hint="--type"
        )
    matching = EventFilter(
        frozenset(event_type or ()),
        frozenset(product or ()),
        frozenset(store or ()),
        frozenset(reservation or ()),
    )
    with _errors():
        asyncio.run(print_events(_existing(database), after, matching, follow=follow))


@app.command()
def verify(database: DatabaseOption = None) -> None:
    """Check the hash chain and every table against the log; exit with 1 if anything differs."""
    found = 0
    with _errors(), progress_bar(_screen, "checking") as progress:
        for difference in differences(_existing(database), progress.at):
            found += 1
            print(difference)  # noqa: T201  the answer
    if found:
        _screen.print(f"[red]{found} differences[/]: restore a backup, or `rebuild` the tables")
        raise typer.Exit(1)
    _screen.print(f"0 differences in {progress.position:,} events")


@app.command()
def rebuild(database: DatabaseOption = None) -> None:
    """Make the tables that queries read again from the log; no server may be running."""
    with _errors(), progress_bar(_screen, "rebuilding") as progress:
        position = rebuild_alone(_existing(database), progress.at)
    _screen.print(f"tables rebuilt from {position:,} events")


@app.command()
def backup(
    target: Annotated[Path, typer.Argument(help="Where to write the copy; must not exist.")],
    database: DatabaseOption = None,
) -> None:
    """Copy the database as it is at one moment; servers may go on meanwhile."""
    with _errors(), progress_bar(_screen, "copying") as progress:
        copy = back_up(_existing(database), target, progress.of)
    _screen.print(
        f"{copy.path} holds everything up to position {copy.position:,}, as log {copy.log_id}"
    )


@app.command()
def token(
    actor: Annotated[str, typer.Argument(help="Who will use it, such as checkout.")],
    role: Annotated[str, typer.Option(help="reader, operator or admin.")] = "reader",
) -> None:
    """Make a token: print it, and what of it belongs into the file of callers.

    The token itself is written nowhere: give it to the caller, who sends it with each call
    as the metadata `authorization: Bearer TOKEN`.
    """
    made = new_token()
    print(made)  # noqa: T201  the answer
    entry = f'\\[{actor}]\nrole = "{role}"\ntokens = [{{ sha256 = "{hash_of(made)}" }}]'
    _screen.print(entry, highlight=False, soft_wrap=True)


def main() -> None:
    """Run the command line."""
    app()


def _existing(database: Path | None) -> Database:
    path = Settings.load(database=database).database
    if not check_header(path):
        raise NotOurs(f"there is no database at {path}; name one with --database")
    return Database(path)


def _show_error(error: str) -> None:
    _screen.print(f"[red]error:[/] {error}", highlight=False, soft_wrap=True)


@contextmanager
def _errors(say: Callable[[str], None] = _show_error) -> Iterator[None]:
    """Say in one line what is wrong and what to do about it; exit with 1."""
    try:
        yield
    except BrokenPipeError:
        # whoever read our lines has had enough, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (
        BadSetting,
        failpoints.BadFailPoint,
        BadCallers,
        NotOurs,
        InUse,
        LogInconsistent,
        LedgerBroken,
        StorageError,
        Refusal,
        WorkerFailed,
        OSError,
        apsw.Error,
    ) as error:
        say(str(error))
        raise typer.Exit(1) from error
