"""The commands that call a server, by noun.

Those of a noun are made when it is used: the client that they call imports gRPC, which would slow
down all other commands.
"""

import inspect
from collections.abc import Mapping
from typing import Any, Final

import typer
from typer.core import TyperGroup
from typer.main import get_group

from inventory_grpc.cli.calls.options import PRODUCT, SESSION, STORE
from inventory_grpc.cli.calls.words import OTHER_WORDS

NOUNS: Final = {
    "stock": "Units of a product in a store: receive, sell, correct, look up.",
    "cart": "Reservations: hold units for a customer, sell them or let go of them.",
    "product": "The catalogue of products.",
    "store": "The catalogue of stores.",
    "policy": "Safety stock, backorders and alerts, for all stocks or some.",
}

PANEL: Final = "Call a server"


def add_to(app: typer.Typer) -> None:
    """Add the commands to *app*."""
    for noun, said in NOUNS.items():
        its = typer.Typer(cls=_Noun, help=said, no_args_is_help=True)
        app.add_typer(its, name=noun, rich_help_panel=PANEL)
    app.command("watch", rich_help_panel=PANEL)(_watch)
    app.command("status", rich_help_panel=PANEL)(_status)


def _status(**options: Any) -> None:  # noqa: ANN401  the options of every call
    """Show the version and log of a server, and whether it accepts writes.

    Example: `inventory-grpc status`
    """
    from inventory_grpc.cli.calls.commands import command  # noqa: PLC0415  imports gRPC
    from inventory_grpc.cli.calls.verbs import STATUS  # noqa: PLC0415  as above

    command(STATUS)(**options)


_status.__signature__ = inspect.Signature(SESSION)  # type: ignore[attr-defined]


def _watch(product: list[str] | None, store: list[str] | None, **session: Any) -> None:  # noqa: ANN401  as above
    """Show levels as they change, until Ctrl-C: in place on a terminal, else as JSON lines.

    Example: `inventory-grpc watch --store lisbon`
    """
    from inventory_grpc.cli.calls.session import session_of  # noqa: PLC0415  imports gRPC
    from inventory_grpc.cli.calls.watch import Filter, watch  # noqa: PLC0415  as above

    watch(session_of(**session), Filter(product or [], store or []))


_watch.__signature__ = inspect.Signature([PRODUCT, STORE, *SESSION])  # type: ignore[attr-defined]


class _Noun(TyperGroup):
    """A group whose commands are made when it is used."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ANN401, ARG002  typer's own
        return [*self._verbs()]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ANN401, ARG002  as above
        return self._verbs().get(cmd_name)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:  # noqa: ANN401  as above
        """Answer a word of the trade that is no command with the command for it."""
        if meant := OTHER_WORDS.get(f"{self.name} {args[0]}"):
            ctx.fail(f"No such command {args[0]!r}. Use {meant}.")
        return super().resolve_command(ctx, args)

    def _verbs(self) -> Mapping[str, Any]:
        if not self.commands:
            from inventory_grpc.cli.calls.commands import command  # noqa: PLC0415  imports gRPC
            from inventory_grpc.cli.calls.verbs import VERBS  # noqa: PLC0415  as above

            app = typer.Typer(rich_markup_mode="markdown")
            app.callback()(lambda: None)  # else a single command would be the whole
            for verb in VERBS:
                if verb.noun == self.name:
                    app.command(verb.name, no_args_is_help=verb.changes_all)(command(verb))
            self.commands = get_group(app).commands
        return self.commands
